import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileEvents } from '../../src/backtest/event-source.ts'
import { runBacktest } from '../../src/backtest/run-backtest.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createEnricher } from '../../src/enrich/enrich-event.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { bundledPriceList } from '../../src/enrich/price.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import { inTurns, ratioOf, type Bench } from './bench.ts'
import { traffic } from './traffic.ts'

const DAYS = 14
const KEYS = 60
/** One event in four seconds: 5,000 a day for each key on average, the busiest far more. */
const EVENTS_PER_SECOND = 0.25
const START_MS = Date.UTC(2026, 2, 2)

/**
 * A whole backtest, file to alerts, on one core, in turns with what bounds it: reading the same file, and JSON.parse of
 * its lines. Each event falls into a tick of its own, so nearly every event is a judgement by every detector.
 */
export const backtestBench: Bench = async (run) => {
  const directory = await mkdtemp(join(tmpdir(), 'keyhound-bench-'))
  const file = join(directory, 'events.ndjson')
  try {
    const days = run.quick ? DAYS / 10 : DAYS
    const events = Math.round((days * DAY_MS * EVENTS_PER_SECOND) / 1_000)
    const lines = [
      ...traffic({ events, keys: KEYS, eventsPerSecond: EVENTS_PER_SECOND, startMs: START_MS }),
    ].map((event) => JSON.stringify(event))
    await writeFile(file, `${lines.join('\n')}\n`)
    const figures = await inTurns(
      [
        { name: 'keyhound', run: async () => lines.length / (await seconds(() => backtest(file))) },
        {
          name: 'JSON.parse of the lines',
          run: async () => lines.length / (await seconds(() => parse(file))),
        },
        { name: 'reading the file', run: async () => lines.length / (await seconds(() => read(file))) },
      ],
      run,
      'events/s',
    )
    const [ours] = figures
    return {
      results: [
        {
          name: 'backtest of a file',
          unit: 'events/s',
          figures,
          goals: [
            {
              name: 'events a second',
              measured: ours?.median ?? Number.NaN,
              gate: 60_000,
              goal: 150_000,
              better: 'higher',
              unit: 'events/s',
            },
            {
              name: 'share of the speed of JSON.parse',
              measured: ratioOf(figures, 'keyhound', 'JSON.parse of the lines'),
              gate: 0.06,
              goal: 0.15,
              better: 'higher',
              unit: 'x',
            },
          ],
          notes: [
            `${lines.length} events of ${KEYS} keys in ${days} days, default configuration, one process`,
          ],
        },
      ],
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** CPU seconds of this process: a machine that does other things as well must not be taken for a slow backtest. */
async function seconds(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

async function backtest(file: string): Promise<void> {
  const config = await loadConfig(undefined, {})
  await runBacktest({
    sides: [
      {
        config,
        onAlert: () => undefined,
        onDetectorError: ({ error }) => {
          throw error
        },
      },
    ],
    events: fileEvents(file, { onRejected: refuse, onProgress: () => undefined }),
    enrich: createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() }),
  })
}

function refuse({ line, error }: { readonly line: number; readonly error: string }): never {
  throw new Error(`the bench wrote a line ${line} that is no event: ${error}`)
}

async function parse(file: string): Promise<void> {
  let tokens = 0
  for (const line of (await readFile(file, 'utf8')).split('\n'))
    if (line !== '') tokens += (JSON.parse(line) as { readonly input_tokens: number }).input_tokens
  if (!(tokens > 0)) throw new Error('nothing was parsed')
}

async function read(file: string): Promise<void> {
  let bytes = 0
  for await (const chunk of createReadStream(file)) bytes += (chunk as Buffer).length
  if (bytes === 0) throw new Error('nothing was read')
}
