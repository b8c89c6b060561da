import { writeFile } from 'node:fs/promises'
import { diffLines, diffReport, diffTable } from '../backtest/diff-report.ts'
import { htmlReport } from '../backtest/html-report.ts'
import type { Labels } from '../backtest/labels.ts'
import { reportTable, type BacktestReport } from '../backtest/report.ts'
import type { BacktestSummary } from '../backtest/run-backtest.ts'
import { scoreTable } from '../backtest/score-table.ts'
import type { LevelScore } from '../backtest/score.ts'
import type { UsageTrail } from '../backtest/usage-trail.ts'

export type BacktestFormat = 'table' | 'json' | 'ndjson'

/** A report and the configuration that it is of. */
export type NamedReport = BacktestReport & { readonly config: string }

/** Data on standard output: the one report, or with two what the second changes. */
export function printReports(format: BacktestFormat, [a, b]: readonly NamedReport[]): void {
  if (a === undefined) return
  if (b === undefined) {
    const { config: _, ...report } = a
    if (format === 'json') process.stdout.write(`${JSON.stringify(report)}\n`)
    else if (format === 'table') process.stdout.write(reportTable(report))
    // The alerts have been written as they came.
    else if (report.scores !== undefined) console.error(scoreTable(report.scores).join('\n'))
    return
  }
  const both = diffReport(a, b)
  if (format === 'json') process.stdout.write(`${JSON.stringify(both)}\n`)
  else process.stdout.write(format === 'ndjson' ? diffLines(both) : diffTable(both))
}

/**
 * Writes the HTML report of the last configuration.
 * @throws Error when the file cannot be written
 */
export async function writeReport(
  file: string,
  {
    reports,
    labels,
    trail,
  }: {
    readonly reports: readonly NamedReport[]
    readonly labels: Labels | undefined
    readonly trail: UsageTrail
  },
): Promise<void> {
  const [a, b] = reports
  const report = b ?? a
  if (a === undefined || report === undefined) return
  const page = htmlReport({
    report,
    config: report.config,
    labels,
    chartOf: (alert) => trail.chartOf(alert),
    compared: b === undefined ? undefined : { with: a.config, diff: diffReport(a, b).diff },
  })
  try {
    await writeFile(file, page)
  } catch (cause) {
    throw new Error(`cannot write the report: ${messageOf(cause)}`, { cause })
  }
  console.error(`report: ${file}`)
}

/** Tells what was measured against the budget, and fails when it is exceeded. */
export function judgeBudget(budget: number | undefined, ladder: readonly LevelScore[] | undefined): void {
  const warning = ladder?.find(({ severity }) => severity === 'warning')
  if (budget === undefined || warning === undefined) return
  const rate = warning.false_per_100_key_days
  const isOver = rate > budget
  console.error(
    `${warning.false_alerts} false alerts of warning and worse, ${rate.toFixed(2)} per 100 key-days: ${isOver ? 'over' : 'within'} the budget of ${budget}`,
  )
  if (isOver) process.exitCode = 1
}

/** Counts of the run on standard error. */
export function tellSummary(
  summary: BacktestSummary,
  { rejected, failures }: { rejected: number; failures: number },
): void {
  const { events, duplicates, late } = summary
  const parts = [
    `${events} events`,
    ...(duplicates > 0 ? [`${duplicates} of them repeats`] : []),
    ...(rejected > 0 ? [`${rejected === 1 ? '1 line' : `${rejected} lines`} rejected`] : []),
    ...(failures > 0 ? [`${failures} judgements failed`] : []),
  ]
  console.error(parts.join(', '))
  if (late > 0) {
    console.error(
      `${late} events were older than an hour that had been learnt and are not taught: is the file in order of time?`,
    )
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
