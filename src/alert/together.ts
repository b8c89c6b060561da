import { SEVERITIES, severityRank } from '../detect/finding.ts'
import { messageOf, titleOf, type Message } from './message.ts'
import { money } from './message-values.ts'
import type { Notification } from './notification.ts'
import { plainText } from './plain-text.ts'
import { worse } from './triage.ts'

const MAX_LISTED = 10
const MAX_LINE = 190

/**
 * Many messages for one channel as one: how many incidents, the worst of them by name, the money of all. For channels
 * that take a message a second: nothing is dropped, what does not fit is counted. One alone is told as it is. Pure.
 */
export function togetherMessage(
  notifications: readonly [Notification, ...Notification[]],
  links?: (notification: Notification) => Readonly<Record<string, string>>,
): Message {
  const [first, ...rest] = notifications
  if (rest.length === 0) return messageOf(first, links?.(first))
  const sorted = notifications.toSorted(byUrgency)
  const incidents = new Set(notifications.map(({ lead }) => lead.incidentId)).size
  const heading = `${incidents === 1 ? '1 incident' : `${incidents} incidents`}: ${severitiesOf(notifications)}`
  const listed = sorted.slice(0, MAX_LISTED).map(lineOf)
  const more = sorted.length - listed.length
  return {
    heading,
    title: plainText(`${heading}; first: ${titleOf(sorted[0] ?? first)}`, 150),
    brief: undefined,
    tone: isOver(sorted[0] ?? first)
      ? 'good'
      : notifications
          .filter((each) => !isOver(each))
          .map(({ lead }) => lead.severity)
          .reduce(worse, 'info'),
    isDryRun: sorted.some(({ response }) => response.kind === 'would_revoke'),
    summary: `${notifications.length} messages were due at once on this channel; they are told together, none is left out.`,
    facts: [{ label: 'Cost', value: costOf(notifications) }],
    listLabel: 'Worst first',
    signals: more > 0 ? [...listed, `+${more} more: keyhound alerts list --status firing`] : listed,
    response: responseOf(notifications),
    steps: [{ label: 'See all', command: 'keyhound alerts list --status firing' }],
    links: [],
    footer: `keyhound, ${notifications.length} messages in one`,
  }
}

function lineOf(notification: Notification): string {
  const { costNanoUsd, costNanoUsdPerHour } = notification.traffic
  const cost =
    costNanoUsd === undefined
      ? 'cost unknown'
      : money(costNanoUsd) + (costNanoUsdPerHour === undefined ? '' : `, ${money(costNanoUsdPerHour)}/h`)
  return `${plainText(titleOf(notification), MAX_LINE - cost.length - 3)} (${cost})`
}

function isOver({ type }: Notification): boolean {
  return type === 'alert.resolved' || type === 'key.restored' || type === 'key.revocation_confirmed'
}

/** What goes on before what is over, then the worst, then what costs most an hour. */
function byUrgency(a: Notification, b: Notification): number {
  return (
    Number(isOver(a)) - Number(isOver(b)) ||
    severityRank(b.lead.severity) - severityRank(a.lead.severity) ||
    (b.traffic.costNanoUsdPerHour ?? 0) - (a.traffic.costNanoUsdPerHour ?? 0) ||
    a.at.getTime() - b.at.getTime() ||
    a.id.localeCompare(b.id)
  )
}

function severitiesOf(notifications: readonly Notification[]): string {
  const going = notifications.filter((each) => !isOver(each))
  const parts = SEVERITIES.toReversed().flatMap((severity) => {
    const count = going.filter(({ lead }) => lead.severity === severity).length
    return count === 0 ? [] : [`${count} ${severity}`]
  })
  const over = notifications.length - going.length
  return [...parts, ...(over === 0 ? [] : [`${over} resolved`])].join(', ')
}

/** Once for each incident: several messages of one tell the same money. */
function costOf(notifications: readonly Notification[]): string {
  const byIncident = [...new Map(notifications.map((each) => [each.lead.incidentId, each])).values()]
  const known = byIncident.flatMap(({ traffic }) => traffic.costNanoUsd ?? [])
  const rates = byIncident.flatMap(({ traffic }) => traffic.costNanoUsdPerHour ?? [])
  if (known.length === 0) return 'cost unknown'
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const unknown = byIncident.length - known.length
  return `${money(sum(known))} so far, ${money(sum(rates))} per hour${unknown === 0 ? '' : `, of ${unknown} unknown`}`
}

function responseOf(notifications: readonly Notification[]): string {
  const count = (kind: Notification['response']['kind']): number =>
    notifications.filter(({ response }) => response.kind === kind).length
  const parts = [
    [count('revoked') + count('confirmed'), 'revoked'],
    [count('pending'), 'being revoked'],
    [count('proposed'), 'waiting for approval'],
    [count('failed'), 'NOT revoked, the revocation failed'],
    [count('would_revoke'), '[DRY RUN] would have been revoked'],
  ] as const
  const told = parts.filter(([many]) => many > 0).map(([many, what]) => `${many} ${what}`)
  return told.length === 0 ? 'keyhound did nothing to the keys.' : `Of the keys: ${told.join('; ')}.`
}
