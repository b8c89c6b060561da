import type { Alert } from '../../alert/alert.ts'
import { count, elapsed, minute, money } from '../../alert/message-values.ts'
import { plainText } from '../../alert/plain-text.ts'
import type { AlertDetail, KeyDetail } from '../../store/operator-store.ts'
import type { ActionLink, LinkAction } from './action-link.ts'
import { markup, type Html, type Page } from './page.ts'
import { SILENCE_LENGTHS, type Done } from './take-action.ts'

const TITLES: Readonly<Record<LinkAction, string>> = {
  acknowledge: 'Acknowledge this alert?',
  silence: 'Silence this key?',
  revoke: 'Revoke this key?',
  approve: 'Approve the revocation of this key?',
}
const EXPLAINED: Readonly<Record<LinkAction, string>> = {
  acknowledge:
    'Everybody sees that you are on it: the alert is not repeated and not escalated. The key goes on working.',
  silence:
    'Nobody is told of these alerts for a while. The key goes on working and being watched, and what is still open at the end is told then.',
  revoke:
    'keyhound asks your gateway to revoke the key. Whoever uses it, also its owner, is refused from then on.',
  approve:
    'keyhound asks your gateway to revoke the key. Whoever uses it, also its owner, is refused from then on.',
}
const BUTTONS: Readonly<Record<LinkAction, string>> = {
  acknowledge: 'Acknowledge',
  silence: 'Silence',
  revoke: 'Revoke the key',
  approve: 'Approve and revoke the key',
}

/** What the link would do, about which alert, with the form that does it. */
export function confirmPage(
  { action, channel }: ActionLink,
  { alert, history }: AlertDetail,
  { key, silenceMaxMs }: { readonly key: KeyDetail | undefined; readonly silenceMaxMs: number },
): Page {
  return {
    status: 200,
    title: TITLES[action],
    tone: action === 'revoke' || action === 'approve' ? 'danger' : 'plain',
    body: markup`<p>${plainText(alert.summary, 500)}</p>
${factsOf(alert, { key, history })}
<p>${EXPLAINED[action]}</p>
<form method="post">
${fieldsOf(action, silenceMaxMs)}
<label>Your name <small>(optional, for the history)</small><input name="name" maxlength="60" autocomplete="name"></label>
<button type="submit">${BUTTONS[action]}</button>
</form>
<footer>Nothing has been done yet. Sent to the channel ${channel}; whoever has this link can use it.</footer>`,
  }
}

function factsOf(
  { keyId, severity, status, detector, openedAt, lastSeenAt }: Alert,
  { key, history }: { readonly key: KeyDetail | undefined; readonly history: AlertDetail['history'] },
): Html {
  const last = history.at(-1)
  const lasting = elapsed(lastSeenAt.getTime() - openedAt.getTime())
  const facts: readonly (readonly [string, string])[] = [
    ['Key', plainText(keyId, 256)],
    ['Severity', `${severity}, ${detector}`],
    ['Since', minute(openedAt) + (lasting === undefined ? '' : `, for ${lasting}`)],
    [
      'State',
      last === undefined ? status : `${status}: ${plainText(`${last.change} by ${last.actor}`, 120)}`,
    ],
    ...(key === undefined
      ? []
      : ([
          [
            'Last 24 hours',
            `${count(key.lastDay.requests)} requests, ${key.lastDay.unpriced > 0 && key.lastDay.costNanoUsd === 0 ? 'cost unknown' : money(key.lastDay.costNanoUsd)}`,
          ],
          ['Key is', key.state],
        ] as const)),
  ]
  return markup`<dl>${facts.map(([label, value]) => markup`<dt>${label}</dt><dd>${value}</dd>`)}</dl>`
}

function fieldsOf(action: LinkAction, silenceMaxMs: number): Html {
  switch (action) {
    case 'acknowledge':
      return markup`<label>Note <small>(optional)</small><input name="note" maxlength="1000"></label>`
    case 'silence': {
      const lengths = SILENCE_LENGTHS.filter(({ ms }) => ms <= silenceMaxMs)
      const options = lengths.map(({ value, label }) => markup`<option value="${value}">${label}</option>`)
      return markup`<label>For how long<select name="length">${options}</select></label>
<label>What<select name="scope"><option value="key">all alerts on this key</option><option value="alert">this alert only, until it is over</option></select></label>
<label>Why<input name="comment" maxlength="1000" required></label>`
    }
    case 'revoke':
      return markup`<label>Why<input name="reason" maxlength="1000" required></label>`
    case 'approve':
      return markup`<label>Why <small>(optional)</small><input name="reason" maxlength="1000"></label>`
    default:
      return action satisfies never
  }
}

/** Said instead of the form when the link has nothing to do any more; undefined when it has. */
export function nothingToDo({ action }: ActionLink, alert: Alert): Page | undefined {
  if (alert.status === 'resolved' && action !== 'revoke' && action !== 'approve') {
    return note(
      'The alert is over',
      `It was resolved${alert.resolvedAt === undefined ? '' : ` at ${minute(alert.resolvedAt)}`}. There is nothing left to do.`,
    )
  }
  if (alert.status === 'acknowledged' && action === 'acknowledge')
    return note('It is acknowledged already', 'Somebody was faster. There is nothing left to do.')
  return undefined
}

function note(title: string, text: string): Page {
  return { status: 200, title, tone: 'good', body: markup`<p>${text}</p>` }
}

export function donePage({ title, text }: Done): Page {
  return note(title, text)
}

export function refusedPage(status: number, title: string, text: string): Page {
  return { status, title, tone: 'danger', body: markup`<p>${text}</p>` }
}
