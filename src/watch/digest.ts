import { randomUUID } from 'node:crypto'
import { count, minute, money } from '../alert/message-values.ts'
import type { Notice } from '../alert/notice.ts'
import { SEVERITIES, type DetectorName, type Severity } from '../detect/finding.ts'
import { counted, grouped, listed } from '../detect/sentence.ts'
import type { ChannelFacts, DigestFacts } from '../store/digest-facts.ts'
import type { LedgerEntry } from '../store/revocation-store.ts'

/** A notice shows some twenty lines: these are the most that one section may take of them. */
const DETECTORS_NAMED = 6
const SILENCES_NAMED = 3
const CHANNELS_NAMED = 4
const KEYS_NAMED = 3

/** The report of a span of time, for people. The wording is pure; only the id is new each time. */
export function digestNotice(facts: DigestFacts): Notice {
  const { from, to, usage, alerts, keysWithAlerts, open } = facts
  const all = sum(alerts)
  return {
    id: randomUUID(),
    type: 'keyhound.report',
    topic: 'digest',
    at: to,
    severity: 'info',
    title: `from ${day(from)} to ${day(to)}: ${counted(all, 'alert')} on ${counted(keysWithAlerts, 'key')}`,
    text: summaryOf(facts),
    facts: [
      { label: 'Requests', value: usage === undefined ? 'unknown' : grouped(usage.requests) },
      { label: 'Known cost', value: usage === undefined ? 'unknown' : money(usage.costNanoUsd) },
      { label: 'Keys in use', value: usage === undefined ? 'unknown' : grouped(usage.keys) },
      {
        label: 'Alerts',
        value: `${bySeverity(alerts)}; ${grouped(facts.alertsBefore)} in the same time before`,
      },
      { label: 'Open now', value: grouped(open) },
    ],
    lines: digestLines(facts),
    advice:
      'Say of each alert what it was: keyhound alerts feedback ID compromised, expected or safe. It quiets what is safe, and the dry run learns what it would have got wrong.',
  }
}

/** One finding of the digest a line, the most useful first. */
export function digestLines(facts: DigestFacts): string[] {
  return [
    ...noisiest(facts),
    ...byDetector(facts),
    ...ledgerLines(facts.ledger),
    ...silenceLines(facts),
    ...channelLines(facts.channels),
    rejectedLine(facts),
    unpricedLine(facts),
    problemsLine(facts),
  ]
}

function summaryOf({ alerts, keysWithAlerts, open, channels, problems }: DigestFacts): string {
  const all = sum(alerts)
  const critical = sum(alerts.filter(({ severity }) => severity === 'critical'))
  const broken = channels.filter(({ brokenSince }) => brokenSince !== undefined).map(({ channel }) => channel)
  const parts = [
    all === 0
      ? 'No alert was opened.'
      : `${counted(all, 'alert')} on ${counted(keysWithAlerts, 'key')}, ${critical} of them critical; ${open} open now.`,
    ...(broken.length === 0 ? [] : [`Broken: ${broken.join(', ')}.`]),
    ...(problems.length === 0 ? [] : [`keyhound itself was not always well.`]),
  ]
  return parts.join(' ')
}

/** The rule and the key that cost people the most attention. */
function noisiest({ alerts, keys, verdicts }: DigestFacts): string[] {
  const [detector] = detectorsByCount(alerts)
  const [key] = keys
  if (detector === undefined || key === undefined)
    return ['Noisiest rule and key: none, no alert was opened.']
  const [name, some] = detector
  const harmless = verdicts
    .filter((each) => each.detector === name && each.verdict !== 'compromised')
    .reduce((total, each) => total + each.count, 0)
  const judged = harmless === 0 ? '' : `; people judged ${harmless} of them harmless`
  return [
    `Noisiest rule: ${name}, ${grouped(sum(some))} of ${counted(sum(alerts), 'alert')} (${percent(sum(some) / sum(alerts))})${judged}`,
    `Noisiest key: ${key.keyId}, ${counted(key.alerts, 'alert')}, most of ${key.detector}`,
  ]
}

function byDetector({ alerts }: DigestFacts): string[] {
  const detectors = detectorsByCount(alerts)
  const lines = detectors
    .slice(0, DETECTORS_NAMED)
    .map(([name, some]) => `${name}: ${grouped(sum(some))} (${bySeverity(some)})`)
  const rest = detectors.slice(DETECTORS_NAMED)
  if (rest.length === 0) return lines
  return [
    ...lines,
    `${counted(rest.length, 'other detector')}: ${grouped(sum(rest.flatMap(([, some]) => some)))}`,
  ]
}

type Alerts = DigestFacts['alerts']

function detectorsByCount(alerts: Alerts): [DetectorName, Alerts][] {
  return [...Map.groupBy(alerts, ({ detector }) => detector)].toSorted(
    ([a, some], [b, others]) => sum(others) - sum(some) || (a < b ? -1 : 1),
  )
}

function bySeverity(alerts: Alerts): string {
  const parts = SEVERITIES.toReversed().flatMap((severity: Severity) => {
    const some = sum(alerts.filter((alert) => alert.severity === severity))
    return some === 0 ? [] : [`${grouped(some)} ${severity}`]
  })
  return parts.length === 0 ? 'none' : parts.join(', ')
}

/** What the policy did, or would have done, and what people said of the alerts that led to it. */
function ledgerLines(ledger: readonly LedgerEntry[]): string[] {
  const told: Readonly<Record<LedgerEntry['state'], string>> = {
    dry_run: 'Dry run: mode auto would have revoked',
    refused: 'Not allowed to be revoked:',
    proposed: 'Proposed for revocation:',
    revoked: 'Revoked:',
  }
  const lines = (['revoked', 'proposed', 'dry_run', 'refused'] as const).flatMap((state) => {
    const some = ledger.filter((entry) => entry.state === state)
    if (some.length === 0) return []
    const keys = listed(
      some.map(({ keyId }) => keyId),
      KEYS_NAMED,
    )
    return [`${told[state]} ${counted(some.length, 'key')} (${keys}); ${verdictsOn(some)}`]
  })
  return lines.length === 0 ? ['Response: no key was to be revoked.'] : lines
}

function verdictsOn(entries: readonly LedgerEntry[]): string {
  const parts = (['compromised', 'expected', 'safe'] as const).flatMap((verdict) => {
    const some = entries.filter((entry) => entry.verdict === verdict).length
    return some === 0 ? [] : [`${some} judged ${verdict}`]
  })
  const silent = entries.filter(({ verdict }) => verdict === undefined).length
  return [...parts, ...(silent === 0 ? [] : [`${silent} without a verdict`])].join(', ')
}

function silenceLines({ silences }: DigestFacts): string[] {
  if (silences.length === 0) return ['Silences in force: none.']
  const kept = silences.reduce((total, { use }) => total + use.silenced, 0)
  const lines = silences.slice(0, SILENCES_NAMED).map(({ silence, use }) => {
    const idle = use.matchesSomething ? '' : ', MATCHES NOTHING'
    return `Silence until ${minute(silence.endsAt)} by ${silence.createdBy}: ${silence.comment} (${counted(use.silenced, 'alert')} kept quiet${idle})`
  })
  const more = silences.length - lines.length
  return [
    `Silences in force: ${silences.length}, ${counted(kept, 'alert')} kept quiet so far`,
    ...lines,
    ...(more > 0 ? [`${counted(more, 'more silence')}: keyhound silence list`] : []),
  ]
}

function channelLines(channels: readonly ChannelFacts[]): string[] {
  if (channels.length === 0) return ['Channels: no message was sent.']
  // What does not work first.
  const sorted = channels.toSorted(
    (a, b) =>
      Number(b.brokenSince !== undefined) - Number(a.brokenSince !== undefined) || b.failed - a.failed,
  )
  const lines = sorted
    .slice(0, CHANNELS_NAMED)
    .map(({ channel, delivered, failed, waiting, brokenSince, lastError }) => {
      const broken =
        brokenSince === undefined
          ? ''
          : `, BROKEN since ${minute(brokenSince)}${lastError === undefined ? '' : `: ${lastError}`}`
      return `Channel ${channel}: ${grouped(delivered)} delivered, ${grouped(failed)} failed, ${grouped(waiting)} waiting${broken}`
    })
  const rest = sorted.slice(CHANNELS_NAMED)
  return rest.length === 0
    ? lines
    : [...lines, `${counted(rest.length, 'other channel')} without failures of note`]
}

function rejectedLine({ rejected }: DigestFacts): string {
  const all = rejected.reduce((total, each) => total + each.count, 0)
  if (all === 0) return 'Refused events: none.'
  const reasons = rejected.map((each) => `${grouped(each.count)} ${each.reason}`)
  return `Refused events: ${grouped(all)} (${listed(reasons, 3)})`
}

function unpricedLine({ usage }: DigestFacts): string {
  if (usage === undefined) return 'Requests without a known cost: unknown.'
  if (usage.unpriced === 0) return 'Requests without a known cost: none.'
  return `Requests without a known cost: ${grouped(usage.unpriced)} (${percent(usage.unpriced / usage.successful)}), which limits on spend do not see`
}

function problemsLine({ problems }: DigestFacts): string {
  if (problems.length === 0) return 'keyhound itself: nothing was wrong.'
  const told = problems.map((each) =>
    each.count === 1 ? each.topic : `${each.topic} ${count(each.count)} times`,
  )
  return `keyhound itself: ${listed(told, 5)}`
}

function sum(alerts: readonly { readonly count: number }[]): number {
  return alerts.reduce((total, alert) => total + alert.count, 0)
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`
}

function day(at: Date): string {
  return at.toISOString().slice(0, 10)
}
