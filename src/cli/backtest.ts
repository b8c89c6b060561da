import { stat } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { BacktestAlert } from '../backtest/backtest.ts'
import { fileEvents, storedEvents } from '../backtest/event-source.ts'
import { backtestReport, reportTable } from '../backtest/report.ts'
import { runBacktest, type BacktestSummary } from '../backtest/run-backtest.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { createEnricher } from '../enrich/enrich-event.ts'
import { geoLitePlaces } from '../enrich/place.ts'
import { bundledPriceList } from '../enrich/price.ts'
import { createEventReader } from '../store/postgres/event-reader.ts'
import type { UsageEvent } from '../usage/event.ts'
import { parseTimestamp, TIMESTAMP_END_MS, TIMESTAMP_MIN_MS } from '../usage/timestamp.ts'
import { startProgress, type Progress } from './progress.ts'
import { withSession } from './with-session.ts'

/** Rejected lines that are told one by one; the rest is counted. */
const REJECTED_SHOWN = 10
/** Detector errors that are told one by one. A detector never throws; should one, its alerts are missing. */
const FAILURES_SHOWN = 5

interface Options {
  readonly events: string
  readonly config?: string
  readonly from?: number
  readonly to?: number
  readonly format: 'table' | 'json' | 'ndjson'
}

/**
 * `keyhound backtest`: the daemon's engine over past events. Data on standard output, progress and rejected lines on
 * standard error. Rejected lines do not fail it; an unreadable file, or a detector that throws, does.
 */
export function backtestCommand(): Command {
  return new Command('backtest')
    .description("run the daemon's own detectors over past events, with event time as the clock")
    .requiredOption(
      '--events <file>',
      'NDJSON file of events in order of arrival, - for standard input, or db for stored events',
    )
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .option('--from <time>', 'show alerts from this time on; what came before is learnt', instant)
    .option('--to <time>', 'stop before this time', instant)
    .addOption(
      new Option('--format <format>', 'how to print the alerts')
        .choices(['table', 'json', 'ndjson'])
        .default('table'),
    )
    .action(async (options: Options) => {
      const config = await loadConfig(options.config, process.env)
      if (options.events !== 'db') {
        await backtestFile(options, config)
        return
      }
      await withSession(async ({ database }) => {
        const range = { fromMs: TIMESTAMP_MIN_MS, toMs: options.to ?? TIMESTAMP_END_MS }
        const progress = startProgress('Backtest (events)', 0)
        await backtest(options, {
          config,
          events: counted(storedEvents(createEventReader(database), range), progress),
          progress,
          rejected: () => 0,
        })
      })
    })
}

async function backtestFile(options: Options, config: Config): Promise<void> {
  const bytes = await sizeOf(options.events)
  const progress = startProgress(bytes > 0 ? 'Backtest' : 'Backtest (events)', bytes)
  let rejected = 0
  const events = fileEvents(options.events, {
    onProgress: (done) => {
      if (bytes > 0) progress.update(done)
    },
    onRejected: ({ line, error }) => {
      rejected += 1
      if (rejected <= REJECTED_SHOWN) console.error(`line ${line}: ${error}`)
    },
  })
  await backtest(options, {
    config,
    events: bytes > 0 ? events : counted(events, progress),
    progress,
    rejected: () => rejected,
  })
}

/** 0 for what has no size: standard input, a pipe. */
async function sizeOf(file: string): Promise<number> {
  if (file === '-') return 0
  try {
    return (await stat(file)).size
  } catch (cause) {
    throw new Error(`cannot read the events: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

interface Source {
  readonly config: Config
  readonly events: AsyncIterable<readonly UsageEvent[]>
  readonly progress: Progress
  readonly rejected: () => number
}

async function backtest(options: Options, { config, events, progress, rejected }: Source): Promise<void> {
  const alerts: BacktestAlert[] = []
  let failures = 0
  const summary = await runBacktest({
    config,
    events,
    enrich: createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() }),
    fromMs: options.from,
    toMs: options.to,
    onAlert: (alert) => {
      if (options.format === 'ndjson') process.stdout.write(`${JSON.stringify(alert)}\n`)
      else alerts.push(alert)
    },
    onDetectorError: ({ detector, keyId, error }) => {
      failures += 1
      if (failures <= FAILURES_SHOWN) console.error(`${detector} failed on ${keyId}: ${String(error)}`)
    },
  })
  progress.end()
  tell(summary, { rejected: rejected(), failures })
  if (failures > 0) process.exitCode = 1
  if (options.format === 'ndjson') return
  const report = backtestReport(summary, { alerts, rejectedLines: rejected() })
  process.stdout.write(options.format === 'json' ? `${JSON.stringify(report)}\n` : reportTable(report))
}

/** Progress by events, for what has no size. */
async function* counted(
  batches: Source['events'],
  progress: Progress,
): AsyncGenerator<readonly UsageEvent[]> {
  let events = 0
  for await (const batch of batches) {
    yield batch
    events += batch.length
    progress.update(events)
  }
}

function tell(
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

function instant(text: string): number {
  const atMs = parseTimestamp(text) ?? parseTimestamp(`${text}T00:00:00Z`)
  if (atMs === undefined)
    throw new InvalidArgumentError(
      'expected a date (2026-01-31) or an ISO-8601 time with a zone (2026-01-31T09:00:00Z).',
    )
  return atMs
}
