import { plainText } from '../alert/plain-text.ts'
import { SEVERITIES, type DetectorName, type Severity } from '../detect/finding.ts'
import type { BacktestAlert } from './backtest.ts'
import type { BacktestSummary } from './run-backtest.ts'

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
  readonly alerts: readonly BacktestAlert[]
}

const TOP_KEYS = 10
const KEY_CHARACTERS = 64

/** What `--format json` prints. */
export function backtestReport(
  summary: BacktestSummary,
  { alerts, rejectedLines }: { readonly alerts: readonly BacktestAlert[]; readonly rejectedLines: number },
): BacktestReport {
  return {
    events: summary.events,
    rejected_lines: rejectedLines,
    duplicates: summary.duplicates,
    late_events: summary.late,
    from: isoOf(summary.firstEventMs),
    to: isoOf(summary.lastEventMs),
    keys: summary.keys,
    key_days: Number(summary.keyDays.toFixed(1)),
    counts: countsOf(alerts, summary.keyDays),
    top_keys: topKeysOf(alerts),
    alerts,
  }
}

/** What `--format table` prints. Text that an attacker chose is stripped of control characters. */
export function reportTable(report: BacktestReport): string {
  const { events, from, to, keys, key_days: keyDays, counts, top_keys: topKeys } = report
  const span = from === null || to === null ? '' : `, ${from} to ${to}`
  return [
    `${events.toLocaleString('en-US')} events${span}; ${keys} keys, ${keyDays.toLocaleString('en-US')} key-days`,
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
    '',
  ].join('\n')
}

function countsOf(alerts: readonly BacktestAlert[], keyDays: number): DetectorCount[] {
  const counts = new Map<string, { detector: DetectorName; severity: Severity; alerts: number }>()
  for (const { detector, severity } of alerts) {
    const count = counts.get(`${detector} ${severity}`)
    if (count === undefined) counts.set(`${detector} ${severity}`, { detector, severity, alerts: 1 })
    else count.alerts += 1
  }
  return [...counts.values()]
    .toSorted(
      (a, b) =>
        a.detector.localeCompare(b.detector) ||
        SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity),
    )
    .map((count) => ({ ...count, per_100_key_days: Number(per100(count.alerts, keyDays).toFixed(3)) }))
}

function topKeysOf(alerts: readonly BacktestAlert[]): BacktestReport['top_keys'] {
  const keys = new Map<string, { alerts: number; detectors: Set<string> }>()
  for (const { key_id: keyId, detector } of alerts) {
    const key = keys.get(keyId) ?? { alerts: 0, detectors: new Set() }
    keys.set(keyId, { alerts: key.alerts + 1, detectors: key.detectors.add(detector) })
  }
  return [...keys]
    .map(([keyId, key]) => ({ key_id: keyId, alerts: key.alerts, detectors: [...key.detectors].toSorted() }))
    .toSorted((a, b) => b.alerts - a.alerts || (a.key_id < b.key_id ? -1 : 1))
    .slice(0, TOP_KEYS)
}

function per100(alerts: number, keyDays: number): number {
  return keyDays > 0 ? (100 * alerts) / keyDays : 0
}

/** Numbers to the right, the rest to the left. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return /^[\d.]+$/.test(cell) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

function isoOf(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString()
}
