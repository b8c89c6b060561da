import { plainText } from '../alert/plain-text.ts'
import { SEVERITIES, type DetectorName, type Severity } from '../detect/finding.ts'
import type { BacktestAlert } from './backtest.ts'
import { columns } from './columns.ts'
import { daysOf, type BacktestSummary } from './run-backtest.ts'
import type { LevelScore } from './score.ts'
import { scoreTable } from './score-table.ts'

/** Alerts of one detector and severity; an alert that became worse counts once more under its new severity. */
export interface DetectorCount {
  readonly detector: DetectorName
  readonly severity: Severity
  readonly alerts: number
  readonly per_100_key_days: number
}

export interface BacktestReport {
  readonly events: number
  readonly rejected_lines: number
  readonly duplicates: number
  readonly late_events: number
  /** Of the first and the last event. */
  readonly from: string | null
  readonly to: string | null
  readonly keys: number
  readonly key_days: number
  readonly counts: readonly DetectorCount[]
  /** Most alerts first. */
  readonly top_keys: readonly {
    readonly key_id: string
    readonly alerts: number
    readonly detectors: readonly string[]
  }[]
  /** With `--labels`: one entry per rung of the severity ladder. */
  readonly scores?: readonly LevelScore[]
  readonly alerts: readonly BacktestAlert[]
}

const TOP_KEYS = 10
const KEY_CHARACTERS = 64

/** What `--format json` prints. */
export function backtestReport(
  summary: BacktestSummary,
  {
    alerts,
    rejectedLines,
    scores,
  }: {
    readonly alerts: readonly BacktestAlert[]
    readonly rejectedLines: number
    readonly scores?: readonly LevelScore[] | undefined
  },
): BacktestReport {
  const keyDays = [...summary.spans.values()].reduce((sum, span) => sum + daysOf(span), 0)
  return {
    events: summary.events,
    rejected_lines: rejectedLines,
    duplicates: summary.duplicates,
    late_events: summary.late,
    from: isoOf(summary.firstEventMs),
    to: isoOf(summary.lastEventMs),
    keys: summary.spans.size,
    key_days: Number(keyDays.toFixed(1)),
    counts: countsOf(alerts, keyDays),
    top_keys: topKeysOf(alerts),
    ...(scores === undefined ? {} : { scores }),
    alerts,
  }
}

/** What `--format table` prints. Text that an attacker chose is stripped of control characters. */
export function reportTable(report: BacktestReport): string {
  const { counts, key_days: keyDays, top_keys: topKeys, scores } = report
  return [
    spanLine(report),
    '',
    ...columns([
      ['detector', 'severity', 'alerts', 'per 100 key-days'],
      ...counts.map((count) => [
        count.detector,
        count.severity,
        String(count.alerts),
        count.per_100_key_days.toFixed(2),
      ]),
      ['all', '', String(report.alerts.length), per100(report.alerts.length, keyDays).toFixed(2)],
    ]),
    ...(topKeys.length === 0 ? [] : ['', 'keys with most alerts']),
    ...columns(
      topKeys.map((key) => [
        plainText(key.key_id, KEY_CHARACTERS),
        String(key.alerts),
        key.detectors.join(', '),
      ]),
    ),
    ...(scores === undefined ? [] : ['', ...scoreTable(scores)]),
    '',
  ].join('\n')
}

/** `1,234 events, FROM to TO; 3 keys, 20 key-days`. */
export function spanLine({
  events,
  from,
  to,
  keys,
  key_days: keyDays,
}: Pick<BacktestReport, 'events' | 'from' | 'to' | 'keys' | 'key_days'>): string {
  const span = from === null || to === null ? '' : `, ${from} to ${to}`
  return `${events.toLocaleString('en-US')} events${span}; ${keys} keys, ${keyDays.toLocaleString('en-US')} key-days`
}

function countsOf(alerts: readonly BacktestAlert[], keyDays: number): DetectorCount[] {
  return [...Map.groupBy(alerts, ({ detector, severity }) => `${detector} ${severity}`).values()]
    .flatMap((those) => {
      const [first] = those
      if (first === undefined) return []
      const { detector, severity } = first
      return [
        {
          detector,
          severity,
          alerts: those.length,
          per_100_key_days: Number(per100(those.length, keyDays).toFixed(3)),
        },
      ]
    })
    .toSorted(
      (a, b) =>
        a.detector.localeCompare(b.detector) ||
        SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity),
    )
}

function topKeysOf(alerts: readonly BacktestAlert[]): BacktestReport['top_keys'] {
  return [...Map.groupBy(alerts, ({ key_id: keyId }) => keyId)]
    .map(([keyId, those]) => ({
      key_id: keyId,
      alerts: those.length,
      detectors: [...new Set(those.map(({ detector }) => detector))].toSorted(),
    }))
    .toSorted((a, b) => b.alerts - a.alerts || (a.key_id < b.key_id ? -1 : 1))
    .slice(0, TOP_KEYS)
}

function per100(alerts: number, keyDays: number): number {
  return keyDays > 0 ? (100 * alerts) / keyDays : 0
}

function isoOf(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString()
}
