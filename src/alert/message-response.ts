import { containmentText } from './containment.ts'
import type { Notification, ResponseState } from './notification.ts'
import { minute } from './message-values.ts'
import { plainText } from './plain-text.ts'

/** A command for the operator to run, exactly as it must be typed. */
export interface NextStep {
  readonly label: string
  readonly command: string
}

const MAX_REASON = 200

/** What keyhound did, or would do, about the key, as one or two sentences. */
export function responseText(response: ResponseState): string {
  switch (response.kind) {
    case 'none':
      return 'keyhound did nothing to the key.'
    case 'would_revoke':
      return `[DRY RUN] keyhound would have revoked the key; nothing was done, it still works.${strikesText(response.strikes)}`
    case 'refused':
      return `keyhound did not revoke the key, it still works: ${plainText(response.reason, MAX_REASON)}`
    case 'proposed':
      return `keyhound asks for approval to revoke the key; until then it still works.${strikesText(response.strikes)}`
    case 'pending':
      return (response.round ?? 1) > 1
        ? `The key was revoked and is STILL USED; keyhound calls the gateway again (round ${response.round}). Revoke it there by hand now.`
        : 'keyhound is revoking the key; a message follows when the gateway has answered.'
    case 'revoked':
    case 'confirmed':
      return doneText(response)
    case 'failed':
      return `The revocation FAILED, the key may still work: ${plainText(response.error, MAX_REASON)}`
    case 'restored':
      return `The key was restored at ${minute(response.at)} and works again.`
    default:
      return response satisfies never
  }
}

function doneText({
  kind,
  at,
  means,
  containment,
  strikes,
}: Extract<ResponseState, { kind: 'revoked' | 'confirmed' }>): string {
  const accepted = {
    disable: `The gateway accepted the revocation at ${minute(at)}.`,
    delete: `The key was deleted at ${minute(at)}, for good.`,
    throttle: `The project of the key was slowed down at ${minute(at)}; the key still works, slowly.`,
  }[means ?? 'disable']
  const proof = kind === 'confirmed' ? ' Confirmed: nobody has used the key since.' : ''
  const times = containment === undefined ? undefined : containmentText(containment)
  return `${accepted}${proof}${times === undefined ? '' : ` ${times}`}${strikesText(strikes)}`
}

/** A key that was given back and is abused again. */
function strikesText(strikes = 0): string {
  if (strikes === 0) return ''
  return ` Strike ${strikes + 1}: the key was revoked and restored ${strikes === 1 ? 'once' : `${strikes} times`} before.`
}

/** What to do next: the commands that fit the state of the alert and of the key. */
export function nextSteps({ type, lead, key, response }: Notification): NextStep[] {
  const keyId = shellWord(key.keyId)
  const acknowledge = { label: 'Acknowledge', command: `keyhound alerts ack ${shellWord(lead.id)}` }
  const show = { label: 'Look at the key', command: `keyhound keys show ${keyId}` }
  const revoke = (label: string): NextStep => ({ label, command: `keyhound keys revoke ${keyId}` })
  const restore = { label: 'Restore the key', command: `keyhound keys restore ${keyId}` }
  const first = type === 'alert.opened' || type === 'alert.repeated' ? [acknowledge] : [show]
  switch (response.kind) {
    case 'revoked':
    case 'confirmed':
      return response.means === 'delete' ? first : [...first, restore]
    case 'pending':
      return first
    case 'proposed':
      return [...first, revoke('Approve the revocation')]
    case 'failed':
      return [...first, revoke('Try to revoke again')]
    case 'restored':
    case 'none':
    case 'would_revoke':
    case 'refused':
      return type === 'alert.resolved' || type === 'key.restored'
        ? [show]
        : [...first, revoke('Revoke the key')]
    default:
      return response satisfies never
  }
}

/** One word for a POSIX shell: whoever pastes the command runs nothing but it, whatever the id holds. */
export function shellWord(text: string): string {
  const word = plainText(text, 300)
  if (/^[\w.:@%+=,/][\w.:@%+=,/-]*$/.test(word)) return word
  const quoted = `'${word.replaceAll("'", String.raw`'\''`)}'`
  // A word that starts with a dash would be taken for an option.
  return word.startsWith('-') ? `-- ${quoted}` : quoted
}
