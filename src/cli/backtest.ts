import { readFile, stat } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { BacktestAlert } from '../backtest/backtest.ts'
import { fileEvents, storedEvents } from '../backtest/event-source.ts'
import { NO_LABELS, parseLabels, type Labels } from '../backtest/labels.ts'
import { backtestReport } from '../backtest/report.ts'
import { runBacktest } from '../backtest/run-backtest.ts'
import { scoreAlerts, type ScoredAlert } from '../backtest/score.ts'
import { UsageTrail } from '../backtest/usage-trail.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { createEnricher } from '../enrich/enrich-event.ts'
import { geoLitePlaces } from '../enrich/place.ts'
import { bundledPriceList } from '../enrich/price.ts'
import { createEventReader } from '../store/postgres/event-reader.ts'
import type { UsageEvent } from '../usage/event.ts'
import { TIMESTAMP_END_MS, TIMESTAMP_MIN_MS } from '../usage/timestamp.ts'
import {
  judgeBudget,
  printReports,
  tellSummary,
  writeReport,
  type BacktestFormat,
} from './backtest-output.ts'
import { instantOption } from './instant-option.ts'
import { startProgress, type Progress } from './progress.ts'
import { withSession } from './with-session.ts'

/** Rejected lines that are told one by one; the rest is counted. */
const REJECTED_SHOWN = 10
/** Detector errors that are told one by one. A detector never throws; should one, its alerts are missing. */
const FAILURES_SHOWN = 5
const CONFIGS_MAX = 2

interface Options {
  readonly events: string
  readonly config?: readonly string[]
  readonly from?: number
  readonly to?: number
  readonly format: BacktestFormat
  readonly labels?: string
  readonly budget?: number
  readonly report?: string
}

/**
 * `keyhound backtest`: the daemon's engine over past events. Data on standard output, progress and rejected lines on
 * standard error. Rejected lines do not fail it; an unreadable file, a detector that throws, or more false alerts than
 * `--budget` allows, does.
 */
export function backtestCommand(): Command {
  return new Command('backtest')
    .description("run the daemon's own detectors over past events, with event time as the clock")
    .requiredOption(
      '--events <file>',
      'NDJSON file of events in order of arrival, - for standard input, or db for stored events',
    )
    .option(
      '--config <file>',
      'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml); given twice: what the second changes',
      oneMore,
    )
    .option('--from <time>', 'show alerts from this time on; what came before is learnt', instantOption)
    .option('--to <time>', 'stop before this time', instantOption)
    .addOption(
      new Option('--format <format>', 'how to print the alerts')
        .choices(['table', 'json', 'ndjson'])
        .default('table'),
    )
    .option(
      '--labels <file>',
      'score against known incidents: JSON {"attacks": [{"key_id", "start", "end", "kind"}, ...]}',
    )
    .option(
      '--budget <number>',
      'exit 1 when alerts of warning and worse that match no label (all, without --labels) exceed this many per 100 key-days; with two configurations the second is held to it',
      notNegative,
    )
    .option('--report <file>', 'write a report with charts: one HTML file')
    .action(async (options: Options) => {
      const setup = await setUp(options)
      if (options.events !== 'db') {
        await backtestFile(options, setup)
        return
      }
      await withSession(async ({ database }) => {
        const range = { fromMs: TIMESTAMP_MIN_MS, toMs: options.to ?? TIMESTAMP_END_MS }
        const progress = startProgress('Backtest (events)', 0)
        await backtest(options, setup, {
          events: counted(storedEvents(createEventReader(database), range), progress),
          progress,
          rejected: () => 0,
        })
      })
    })
}

/** All that is read before the first event, so that a mistake in it costs no run. */
interface Setup {
  readonly configs: readonly Config[]
  readonly labels: Labels | undefined
}

async function setUp({ config: files, labels }: Options): Promise<Setup> {
  const configs: Config[] = []
  for (const file of files ?? [undefined]) configs.push(await loadConfig(file, process.env))
  return {
    configs,
    labels: labels === undefined ? undefined : parseLabels(await textOf(labels, 'labels'), labels),
  }
}

async function backtestFile(options: Options, setup: Setup): Promise<void> {
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
  await backtest(options, setup, {
    events: bytes > 0 ? events : counted(events, progress),
    progress,
    rejected: () => rejected,
  })
}

interface Source {
  readonly events: AsyncIterable<readonly UsageEvent[]>
  readonly progress: Progress
  readonly rejected: () => number
}

async function backtest(options: Options, { configs, labels }: Setup, source: Source): Promise<void> {
  const streams = options.format === 'ndjson' && configs.length === 1
  const keepsAlerts = !streams || options.report !== undefined
  const scores = options.labels !== undefined || options.budget !== undefined
  const trail = options.report === undefined ? undefined : new UsageTrail()
  const raised = configs.map(() => ({ alerts: [] as BacktestAlert[], slim: [] as ScoredAlert[] }))
  let failures = 0
  const summary = await runBacktest({
    sides: configs.map((config, side) => ({
      config,
      onAlert: (alert, context) => {
        if (streams) process.stdout.write(`${JSON.stringify(alert)}\n`)
        if (keepsAlerts) raised[side]?.alerts.push(alert)
        if (scores) raised[side]?.slim.push(slimOf(alert))
        if (side === configs.length - 1) trail?.mark(alert, context)
      },
      onDetectorError: ({ detector, keyId, error }) => {
        failures += 1
        if (failures <= FAILURES_SHOWN) console.error(`${detector} failed on ${keyId}: ${String(error)}`)
      },
    })),
    events: source.events,
    enrich: createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() }),
    fromMs: options.from,
    toMs: options.to,
    onEvent: trail === undefined ? undefined : (event) => trail.add(event),
  })
  source.progress.end()
  tellSummary(summary, { rejected: source.rejected(), failures })
  if (failures > 0) process.exitCode = 1
  const ladders = scores
    ? raised.map(({ slim }) =>
        scoreAlerts({ alerts: slim, labels: within(labels ?? NO_LABELS, options), spans: summary.spans }),
      )
    : []
  const reports = raised.map(({ alerts }, side) => ({
    ...backtestReport(summary, {
      alerts,
      rejectedLines: source.rejected(),
      scores: labels === undefined ? undefined : ladders[side],
    }),
    config: nameOf(configs[side]),
  }))
  printReports(options.format, reports)
  if (options.report !== undefined && trail !== undefined)
    await writeReport(options.report, { reports, labels, trail })
  judgeBudget(options.budget, ladders.at(-1))
}

function slimOf({ detector, key_id, at, severity }: BacktestAlert): ScoredAlert {
  return { detector, key_id, at, severity }
}

/** Only what overlaps the span that alerts are shown for: the rest could not be found. */
function within({ incidents, benign }: Labels, { from = -Infinity, to = Infinity }: Options): Labels {
  const overlaps = ({ startMs, endMs }: { readonly startMs: number; readonly endMs: number }): boolean =>
    endMs >= from && startMs < to
  return { incidents: incidents.filter(overlaps), benign: benign.filter(overlaps) }
}

function nameOf(config: Config | undefined): string {
  return config?.file ?? 'the built-in defaults'
}

/** 0 for what has no size: standard input, a pipe. */
async function sizeOf(file: string): Promise<number> {
  if (file === '-') return 0
  try {
    return (await stat(file)).size
  } catch (cause) {
    throw new Error(`cannot read the events: ${messageOf(cause)}`, { cause })
  }
}

async function textOf(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new Error(`cannot read the ${what}: ${messageOf(cause)}`, { cause })
  }
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

function oneMore(file: string, before: readonly string[] | undefined): readonly string[] {
  const files = [...(before ?? []), file]
  if (files.length > CONFIGS_MAX) throw new InvalidArgumentError('expected one or two configurations.')
  return files
}

function notNegative(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected a number from 0 on, such as 0.5.')
  return value
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
