import { SEVERITIES, severityRank, type Severity } from '../detect/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import type { BacktestAlert } from './backtest.ts'
import type { Incident, Labels } from './labels.ts'
import { daysOf, type KeySpan } from './run-backtest.ts'

/** An alert so long after the last abusive request still counts as its detection. */
const GRACE_MS = HOUR_MS
/** After that, and until so long after the incident, an alert is neither right nor wrong. */
const AFTERMATH_MS = DAY_MS
/** What one detector says of one key again within this time counts once. */
const REPEAT_MS = 6 * HOUR_MS

/** What scoring needs of an alert. */
export type ScoredAlert = Pick<BacktestAlert, 'detector' | 'key_id' | 'at' | 'severity'>

/** What a label says of an alert. */
export type Verdict =
  | { readonly kind: 'right'; readonly incidents: readonly Incident[] }
  | { readonly kind: 'neutral' }
  | { readonly kind: 'false'; readonly benign: string | undefined }

/** How well alerts of a severity and worse tell incidents from the rest. Rates are undefined where nothing was to rate. */
export interface LevelScore {
  readonly severity: Severity
  readonly incidents: number
  readonly detected: number
  /** Mean over the kinds of incident of the share that was detected. */
  readonly recall: number | undefined
  /** Of the alerts that were right or false, the share that was right; repeats counted once. */
  readonly precision: number | undefined
  readonly false_alerts: number
  readonly key_days: number
  readonly false_per_100_key_days: number
  /** From an incident's first request to its first alert, minutes. */
  readonly minutes_to_detect: { readonly median: number | undefined; readonly p90: number | undefined }
  /** Share of the incidents' cost that was still to come at the first alert; undefined when labels tell no cost. */
  readonly spend_prevented: number | undefined
  readonly kinds: readonly KindScore[]
  /** Windows of known benign change, and in how many of them a false alert was raised. */
  readonly benign: readonly { readonly kind: string; readonly windows: number; readonly alerted: number }[]
}

export interface KindScore {
  readonly kind: string
  readonly incidents: number
  readonly detected: number
  readonly minutes_to_detect_median: number | undefined
}

interface Observation {
  readonly alerts: readonly ScoredAlert[]
  readonly labels: Labels
  readonly spans: ReadonlyMap<string, KeySpan>
}

/** The score at each rung of the severity ladder: info and worse, warning and worse, critical. */
export function scoreAlerts(observation: Observation): LevelScore[] {
  return SEVERITIES.map((severity) => scoreLevel(observation, severity))
}

/** What the labels say of an alert of that key, time and detector. */
export function verdictOf(alert: ScoredAlert, { incidents, benign }: Labels): Verdict {
  const atMs = Date.parse(alert.at)
  const mine = incidents.filter(({ keyId, startMs }) => keyId === alert.key_id && atMs >= startMs)
  const hit = mine.filter(({ endMs }) => atMs <= endMs + GRACE_MS)
  if (hit.length > 0) return { kind: 'right', incidents: hit }
  if (mine.some(({ endMs }) => atMs <= endMs + AFTERMATH_MS)) return { kind: 'neutral' }
  const windows = benign.filter(
    ({ keyId, startMs, endMs }) => keyId === alert.key_id && atMs >= startMs && atMs <= endMs + GRACE_MS,
  )
  if (windows.some(({ allow }) => allow.includes(alert.detector))) return { kind: 'neutral' }
  return { kind: 'false', benign: windows[0]?.kind }
}

function scoreLevel({ alerts, labels, spans }: Observation, severity: Severity): LevelScore {
  const judged = alerts
    .filter((alert) => severityRank(alert.severity) >= severityRank(severity))
    .map((alert) => ({ alert, atMs: Date.parse(alert.at), verdict: verdictOf(alert, labels) }))
    .toSorted((a, b) => a.atMs - b.atMs)
  const firstMs = new Map<Incident, number>()
  for (const { atMs, verdict } of judged) {
    if (verdict.kind !== 'right') continue
    for (const incident of verdict.incidents) if (!firstMs.has(incident)) firstMs.set(incident, atMs)
  }
  const right = withoutRepeats(judged.filter(({ verdict }) => verdict.kind === 'right')).length
  const wrong = withoutRepeats(judged.filter(({ verdict }) => verdict.kind === 'false'))
  const seen = labels.incidents.filter(({ keyId }) => spans.has(keyId))
  const keyDays = daysWithout(seen, spans)
  const kinds = kindsOf(seen, firstMs)
  const delays = seen.flatMap((incident) => delayOf(incident, firstMs))
  return {
    severity,
    incidents: seen.length,
    detected: delays.length,
    recall: meanOf(kinds.map((kind) => kind.detected / kind.incidents)),
    precision: right + wrong.length > 0 ? right / (right + wrong.length) : undefined,
    false_alerts: wrong.length,
    key_days: keyDays,
    false_per_100_key_days: keyDays > 0 ? (100 * wrong.length) / keyDays : 0,
    minutes_to_detect: { median: quantile(delays, 0.5), p90: quantile(delays, 0.9) },
    spend_prevented: spendPrevented(seen, firstMs),
    kinds,
    benign: benignOf(
      labels,
      wrong.map(({ alert }) => alert),
    ),
  }
}

function withoutRepeats<Judged extends { readonly alert: ScoredAlert; readonly atMs: number }>(
  judged: readonly Judged[],
): Judged[] {
  const lastMs = new Map<string, number>()
  return judged.filter(({ alert, atMs }) => {
    const name = `${alert.detector} ${alert.key_id}`
    if (atMs - (lastMs.get(name) ?? -Infinity) < REPEAT_MS) return false
    lastMs.set(name, atMs)
    return true
  })
}

/** Days that the keys were observed, less the incidents and their aftermath. */
function daysWithout(incidents: readonly Incident[], spans: ReadonlyMap<string, KeySpan>): number {
  const abusedMs = new Map<string, number>()
  for (const { keyId, startMs, endMs } of incidents) {
    const span = spans.get(keyId)
    if (span === undefined) continue
    const lostMs = Math.min(endMs + AFTERMATH_MS, span.lastMs) - Math.max(startMs, span.firstMs)
    abusedMs.set(keyId, (abusedMs.get(keyId) ?? 0) + Math.max(0, lostMs))
  }
  return [...spans].reduce(
    (sum, [keyId, span]) => sum + Math.max(0, daysOf(span) - (abusedMs.get(keyId) ?? 0) / DAY_MS),
    0,
  )
}

function kindsOf(incidents: readonly Incident[], firstMs: ReadonlyMap<Incident, number>): KindScore[] {
  return [...Map.groupBy(incidents, ({ kind }) => kind)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, those]) => {
      const delays = those.flatMap((incident) => delayOf(incident, firstMs))
      return {
        kind,
        incidents: those.length,
        detected: delays.length,
        minutes_to_detect_median: quantile(delays, 0.5),
      }
    })
}

function delayOf(incident: Incident, firstMs: ReadonlyMap<Incident, number>): number[] {
  const atMs = firstMs.get(incident)
  return atMs === undefined ? [] : [(atMs - incident.startMs) / MINUTE_MS]
}

function spendPrevented(
  incidents: readonly Incident[],
  firstMs: ReadonlyMap<Incident, number>,
): number | undefined {
  let cost = 0
  let lost = 0
  for (const incident of incidents) {
    if (incident.costUsd === undefined) continue
    const atMs = firstMs.get(incident)
    cost += incident.costUsd
    lost += atMs === undefined ? incident.costUsd : spentBy(incident, atMs)
  }
  return cost > 0 ? 1 - lost / cost : undefined
}

function spentBy({ startMs, curve }: Incident, atMs: number): number {
  const seconds = (atMs - startMs) / 1000
  return curve.findLast(([at]) => at <= seconds)?.[2] ?? 0
}

function benignOf({ benign }: Labels, wrong: readonly ScoredAlert[]): LevelScore['benign'] {
  return [...Map.groupBy(benign, ({ kind }) => kind)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, windows]) => ({
      kind,
      windows: windows.length,
      alerted: windows.filter(({ keyId, startMs, endMs }) =>
        wrong.some(({ key_id: alertKey, at }) => {
          const atMs = Date.parse(at)
          return alertKey === keyId && atMs >= startMs && atMs <= endMs + GRACE_MS
        }),
      ).length,
    }))
}

function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Linear between the order statistics. */
function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)]
  const high = sorted[Math.ceil(at)]
  return low === undefined || high === undefined ? undefined : low + (high - low) * (at - Math.floor(at))
}
