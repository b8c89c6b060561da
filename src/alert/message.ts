import type { Severity } from '../detect/finding.ts'
import type { Alert } from './alert.ts'
import { nextSteps, responseText, type NextStep } from './message-response.ts'
import {
  count,
  countryName,
  elapsed,
  expectedText,
  minute,
  money,
  observedText,
  share,
} from './message-values.ts'
import type { Notification } from './notification.ts'
import { plainText } from './plain-text.ts'

/**
 * What a person is told, without the form of any channel: which key, what happened and what is usual, since when, how
 * much, from where, what keyhound did, what to do. Every text is one harmless line of plain text (`plainText`), but
 * not escaped: each channel escapes for its own form.
 */
export interface Message {
  /** Which key, how bad, what keyhound did: one line, for where the summary stands below it. */
  readonly heading: string
  /** Heading and summary in one line of at most 150 code points, for where there is no more: a subject, a push. */
  readonly title: string
  /** All that needs to be told where a message of its own would be clutter: set when something is over. */
  readonly brief: string | undefined
  readonly tone: Severity | 'good'
  /** Nothing was done to the key, something would have been: shown in a colour of its own. */
  readonly isDryRun: boolean
  /** What happened, in the detector's words. */
  readonly summary: string
  readonly facts: readonly { readonly label: string; readonly value: string }[]
  /** What `signals` are. */
  readonly listLabel: string
  /** Other signals on the key, worst first. */
  readonly signals: readonly string[]
  readonly response: string
  readonly steps: readonly NextStep[]
  readonly links: readonly { readonly label: string; readonly url: string }[]
  readonly footer: string
}

const MAX_TITLE = 150
const MAX_TITLE_KEY = 60
const MAX_SUMMARY = 700
const MAX_REASON = 200
const MAX_SIGNALS = 4
const MAX_SIGNAL = 150
const MAX_ATTRIBUTE = 60

/** Words a notification. `links` are addresses of keyhound's own, by label. Pure; never throws. */
export function messageOf(notification: Notification, links: Readonly<Record<string, string>> = {}): Message {
  const { lead, others } = notification
  return {
    heading: headingOf(notification),
    title: titleOf(notification),
    brief: briefOf(notification),
    tone: toneOf(notification),
    isDryRun: notification.response.kind === 'would_revoke' && notification.type !== 'alert.resolved',
    summary: plainText([...reasonOf(notification), lead.summary].join(' '), MAX_SUMMARY),
    facts: factsOf(notification),
    listLabel: 'Other signals on the key',
    signals: signalsOf(others),
    response: [responseText(notification.response), ...insteadOf(notification)].join(' '),
    steps: nextSteps(notification),
    links: linksOf(links),
    footer: `keyhound alert ${plainText(lead.id, 60)}, detector ${lead.detector}, ${plainText(lead.evidence.setting, 100)}`,
  }
}

/** The message as lines of plain text: for mail, terminals and as the fallback where nothing richer is shown. */
export function messageLines(message: Message): string[] {
  const { heading, summary, facts, listLabel, signals, response, steps, links, footer } = message
  return [
    heading,
    '',
    summary,
    '',
    ...facts.map(({ label, value }) => `${label}: ${value}`),
    ...(signals.length === 0 ? [] : ['', `${listLabel}:`, ...signals.map((signal) => `- ${signal}`)]),
    '',
    response,
    '',
    ...(steps.length + links.length === 0 ? [] : ['What to do next:']),
    ...steps.map(({ label, command }) => `- ${label}: ${command}`),
    ...links.map(({ label, url }) => `- ${label}: ${url}`),
    ...(steps.length + links.length === 0 ? [] : ['']),
    footer,
  ]
}

const LINK_LABELS: Readonly<Record<string, string>> = {
  acknowledge: 'Acknowledge',
  silence: 'Silence',
  revoke: 'Revoke the key',
  approve: 'Approve the revocation',
}

/** The pages for people; what is for programs (`alert`, a part of the API) stands in the webhook only. */
function linksOf(links: Readonly<Record<string, string>>): Message['links'] {
  return Object.entries(links)
    .filter(([name]) => name !== 'alert')
    .map(([name, url]) => ({ label: LINK_LABELS[name] ?? name, url }))
}

/** One line for what needs no more: the reader knows the rest from the message that opened it. */
function briefOf(notification: Notification): string | undefined {
  const { type, lead, traffic, at } = notification
  const line = [titleOf(notification), ...reasonOf(notification)].join(' ')
  if (type === 'alert.acknowledged') return `${line} ${costText(traffic)}`
  if (type !== 'alert.resolved') return undefined
  const lasted = elapsed((lead.resolvedAt ?? at).getTime() - lead.openedAt.getTime())
  return `${line}; ${lasted === undefined ? '' : `lasted ${lasted}, `}${costText(traffic)}`
}

/** Why it is told although no finding explains it. */
function reasonOf({ reason }: Notification): string[] {
  return reason === undefined ? [] : [`(${plainText(reason, MAX_REASON)})`]
}

/** Why the reader gets what another channel should have got. */
function insteadOf({ insteadOf: failed }: Notification): string[] {
  if (failed === undefined) return []
  return [`Sent here because the channel ${plainText(failed, 64)} could not deliver it.`]
}

function headingOf({ type, lead, key, response, test }: Notification): string {
  const keyName = `key ${plainText(key.keyId, MAX_TITLE_KEY)}`
  const severity = `[${lead.severity.toUpperCase()}]`
  const dryRun = response.kind === 'would_revoke' ? '[DRY RUN] would revoke ' : ''
  const heading = ((): string => {
    switch (type) {
      case 'alert.opened':
        return `${severity} ${dryRun}${keyName}`
      case 'alert.repeated':
        return `${severity} still firing: ${dryRun}${keyName}`
      case 'alert.acknowledged':
        return `[ACKNOWLEDGED] ${keyName}`
      case 'alert.resolved':
        return `[RESOLVED] ${keyName}`
      case 'key.revocation_proposed':
        return `[APPROVAL NEEDED] revoke ${keyName}?`
      case 'key.revoked':
        return `[REVOKED] ${keyName}`
      case 'key.revocation_confirmed':
        return `[REVOKED, CONFIRMED] ${keyName}`
      case 'key.revocation_failed':
        return `[REVOCATION FAILED] ${keyName} may still work`
      case 'key.restored':
        return `[RESTORED] ${keyName} works again`
      default:
        return type satisfies never
    }
  })()
  return test === true ? `[TEST] ${heading}` : heading
}

/** Heading and summary in one line of at most 150 code points. */
export function titleOf(notification: Notification): string {
  const heading = headingOf(notification)
  const colon = heading.endsWith('?') ? '' : ':'
  return plainText(`${heading}${colon} ${headlineOf(notification.lead)}`, MAX_TITLE)
}

/** The summary without the key's name at its start, which the title says already. */
function headlineOf({ summary, keyId }: Alert): string {
  for (const start of [`${keyId} `, `key ${keyId} `, `Key ${keyId} `]) {
    if (summary.startsWith(start)) return summary.slice(start.length)
  }
  return summary
}

function toneOf({ type, lead }: Notification): Message['tone'] {
  if (type === 'alert.resolved' || type === 'key.restored' || type === 'key.revocation_confirmed')
    return 'good'
  return type === 'key.revocation_failed' ? 'critical' : lead.severity
}

function factsOf({ at, lead, key, traffic }: Notification): Message['facts'] {
  const attributes = [
    key.teamId === undefined ? undefined : `team ${plainText(key.teamId, MAX_ATTRIBUTE)}`,
    key.environment === undefined ? undefined : `environment ${plainText(key.environment, MAX_ATTRIBUTE)}`,
  ].filter((attribute) => attribute !== undefined)
  const age = elapsed(at.getTime() - lead.openedAt.getTime())
  return [
    {
      label: 'Key',
      value: plainText(key.keyId, 256) + (attributes.length === 0 ? '' : ` (${attributes.join(', ')})`),
    },
    { label: 'Since', value: minute(lead.openedAt) + (age === undefined ? '' : ` (${age})`) },
    { label: 'Observed', value: observedText(lead.evidence) },
    { label: 'Usual', value: expectedText(lead.evidence) },
    { label: 'Requests', value: `${count(traffic.requests)} since ${minute(traffic.since)}` },
    { label: 'Cost', value: costText(traffic) },
    { label: 'Top address', value: share(traffic.topAddress) },
    { label: 'Top country', value: share(traffic.topCountry, countryName) },
    { label: 'Top model', value: share(traffic.topModel) },
  ]
}

function costText({ costNanoUsd, costNanoUsdPerHour }: Notification['traffic']): string {
  if (costNanoUsd === undefined) return 'cost unknown'
  const rate = costNanoUsdPerHour === undefined ? '' : `, ${money(costNanoUsdPerHour)} per hour`
  return `${money(costNanoUsd)} so far${rate}`
}

function signalsOf(others: readonly Alert[]): string[] {
  const shown = others
    .slice(0, MAX_SIGNALS)
    .map(({ severity, detector, status, summary }) =>
      plainText(`${status === 'resolved' ? 'resolved' : severity} ${detector}: ${summary}`, MAX_SIGNAL),
    )
  const rest = others.length - shown.length
  return rest > 0 ? [...shown, `+${rest} more`] : shown
}
