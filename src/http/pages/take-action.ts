import type { Alert } from '../../alert/alert.ts'
import { plainText } from '../../alert/plain-text.ts'
import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import type { Clock } from '../../clock.ts'
import type { OperatorStore } from '../../store/operator-store.ts'
import type { RevocationStore } from '../../store/revocation-store.ts'
import { NoSuchAlertError, type SilenceStore } from '../../store/silence-store.ts'
import { Problem } from '../problem.ts'
import type { ActionLink } from './action-link.ts'
import type { Form } from './form.ts'

const NAME_MAX = 60
const TEXT_MAX = 1_000

/** The lengths of a silence that the page offers; the first when none is chosen. */
export const SILENCE_LENGTHS = [
  { value: '1h', ms: HOUR_MS, label: '1 hour' },
  { value: '4h', ms: 4 * HOUR_MS, label: '4 hours' },
  { value: '1d', ms: DAY_MS, label: '1 day' },
  { value: '7d', ms: 7 * DAY_MS, label: '7 days' },
] as const

/** What actions need. */
export interface ActionParts {
  readonly operators: OperatorStore
  readonly silences: SilenceStore
  readonly revocations: RevocationStore
  /** How long a silence may last, in milliseconds. */
  readonly silenceMaxMs: () => number
  readonly clock: Clock
}

/** What was done, for the page that says so. */
export interface Done {
  readonly title: string
  readonly text: string
}

/** Does what the link is for. Repeating it changes nothing more. Throws a Problem when the form lacks something. */
export async function takeAction(
  parts: ActionParts,
  link: ActionLink,
  { alert, form }: { readonly alert: Alert; readonly form: Form },
): Promise<Done> {
  const { operators, revocations, clock } = parts
  const nowMs = clock.nowMs()
  const actor = actorOf(link, form)
  const keyId = plainText(alert.keyId, 80)
  switch (link.action) {
    case 'acknowledge': {
      const note = form.text('note', TEXT_MAX)
      const act = { actor, note: note === '' ? undefined : note, nowMs, wholeIncident: true }
      await operators.acknowledge(alert.id, act)
      return {
        title: 'Acknowledged',
        text: `The alert on ${keyId} is yours now: it is not repeated, and it goes on being watched until it is over.`,
      }
    }
    case 'silence':
      return silence(parts, { alert, form, actor, nowMs })
    case 'revoke': {
      const reason = required(form, 'reason')
      await revocations.requestRevoke({ keyId: alert.keyId, reason, actor, nowMs })
      return {
        title: 'The key is being revoked',
        text: `keyhound asks the gateway to revoke ${keyId}, and then watches that it is not used any more. A message follows on the channels of the alert.`,
      }
    }
    case 'approve': {
      const reason = form.text('reason', TEXT_MAX) || 'approved from a message'
      const approved = await revocations.approve(link.revocationId, { reason, actor, nowMs })
      if (approved === undefined)
        throw new Problem(
          409,
          'This proposal does not wait any more: somebody has decided on it, or it was withdrawn.',
        )
      return {
        title: 'The revocation is approved',
        text: `keyhound asks the gateway to revoke ${keyId}, and then watches that it is not used any more. A message follows on the channels of the alert.`,
      }
    }
    default:
      return link.action satisfies never
  }
}

async function silence(
  { silences, silenceMaxMs }: Pick<ActionParts, 'silences' | 'silenceMaxMs'>,
  {
    alert,
    form,
    actor,
    nowMs,
  }: { readonly alert: Alert; readonly form: Form; readonly actor: string; readonly nowMs: number },
): Promise<Done> {
  const comment = required(form, 'comment')
  const chosen = form.text('length', 10)
  const length = SILENCE_LENGTHS.find(({ value }) => value === chosen) ?? SILENCE_LENGTHS[0]
  const endsAt = new Date(nowMs + Math.min(length.ms, silenceMaxMs()))
  // In a pattern a "*" would match other keys as well.
  const isOfAlert = form.text('scope', 10) === 'alert' || alert.keyId.includes('*')
  try {
    await silences.create({
      matchers: isOfAlert ? {} : { key_id: [alert.keyId] },
      alertId: isOfAlert ? alert.id : undefined,
      startsAt: new Date(nowMs),
      endsAt,
      createdBy: actor,
      comment,
      actor,
      nowMs,
    })
  } catch (error) {
    if (error instanceof NoSuchAlertError)
      throw new Problem(409, 'The alert is over: there is nothing to silence any more.', { cause: error })
    throw error
  }
  return {
    title: 'Silenced',
    text: `Until ${endsAt.toISOString().slice(0, 16).replace('T', ' ')} UTC nobody is told of ${isOfAlert ? 'this alert' : `alerts on ${plainText(alert.keyId, 80)}`}. What is still open then is told, and the key stays watched.`,
  }
}

/** Nobody has logged in: the channel that the link came by, and the name that was given, if any. */
function actorOf({ channel }: ActionLink, form: Form): string {
  const name = plainText(form.text('name', NAME_MAX), NAME_MAX)
  return name === '' ? `link:${channel}` : `link:${channel} (${name})`
}

function required(form: Form, name: string): string {
  const text = form.text(name, TEXT_MAX)
  if (text === '') throw new Problem(400, `Please say why: "${name}" is empty. Go back and fill it in.`)
  return text
}
