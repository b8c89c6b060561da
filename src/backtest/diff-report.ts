import { plainText } from '../alert/plain-text.ts'
import { columns } from './columns.ts'
import { diffAlerts, type AlertDiff, type DiffCount } from './diff.ts'
import { spanLine, type BacktestReport } from './report.ts'
import { scoreTable } from './score-table.ts'

/** Two configurations over the same events: what `--config A --config B` prints as JSON. */
export interface DiffReport {
  readonly a: BacktestReport & { readonly config: string }
  readonly b: BacktestReport & { readonly config: string }
  readonly diff: AlertDiff
}

const KEYS_SHOWN = 20
const ALERTS_SHOWN = 50
const KEY_CHARACTERS = 64
const SUMMARY_CHARACTERS = 160

export function diffReport(
  a: BacktestReport & { readonly config: string },
  b: BacktestReport & { readonly config: string },
): DiffReport {
  return { a, b, diff: diffAlerts(a.alerts, b.alerts) }
}

/** What `--format table` prints for two configurations. */
export function diffTable({ a, b, diff }: DiffReport): string {
  return [
    spanLine(b),
    `A is ${plainText(a.config, SUMMARY_CHARACTERS)}: ${a.alerts.length} alerts`,
    `B is ${plainText(b.config, SUMMARY_CHARACTERS)}: ${b.alerts.length} alerts`,
    '',
    ...columns([
      ['detector', ...COUNT_HEADS],
      ...diff.detectors.map((count) => [count.detector, ...cellsOf(count)]),
    ]),
    ...(diff.keys.length === 0 ? [] : ['', 'keys that alert differently']),
    ...columns(
      diff.keys.length === 0
        ? []
        : [
            ['key', ...COUNT_HEADS],
            ...diff.keys
              .slice(0, KEYS_SHOWN)
              .map((count) => [plainText(count.key_id, KEY_CHARACTERS), ...cellsOf(count)]),
          ],
    ),
    ...more(diff.keys.length - KEYS_SHOWN, 'keys'),
    ...listOf('only A raises', diff.only_a),
    ...listOf('only B raises', diff.only_b),
    ...(a.scores === undefined ? [] : ['', 'A', ...scoreTable(a.scores)]),
    ...(b.scores === undefined ? [] : ['', 'B', ...scoreTable(b.scores)]),
    '',
  ].join('\n')
}

/** What `--format ndjson` prints for two configurations: each alert once, with `in` telling who raises it. */
export function diffLines({ diff }: DiffReport): string {
  return [
    ...diff.only_a.map((alert) => ({ in: 'a', ...alert })),
    ...diff.only_b.map((alert) => ({ in: 'b', ...alert })),
    ...diff.both.map(({ a, b }) => ({ in: 'both', ...b, at_in_a: a.at, severity_in_a: a.severity })),
  ]
    .toSorted((x, y) => Date.parse(x.at) - Date.parse(y.at))
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('')
}

const COUNT_HEADS = ['only in A', 'only in B', 'in both', 'other severity']

function cellsOf(count: DiffCount): string[] {
  return [count.only_a, count.only_b, count.both, count.severity_changed].map(String)
}

function listOf(title: string, alerts: AlertDiff['only_a']): string[] {
  if (alerts.length === 0) return []
  return [
    '',
    title,
    ...columns(
      alerts
        .slice(0, ALERTS_SHOWN)
        .map(({ at, severity, detector, summary }) => [
          at,
          severity,
          detector,
          plainText(summary, SUMMARY_CHARACTERS),
        ]),
    ),
    ...more(alerts.length - ALERTS_SHOWN, 'alerts'),
  ]
}

function more(left: number, what: string): string[] {
  return left > 0 ? [`and ${left} more ${what}; --format json has them all`] : []
}
