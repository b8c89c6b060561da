import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DAY_MS } from '../../src/usage/duration.ts'
import { inTurns, ratioOf, type Bench } from './bench.ts'
import { processorSeconds } from './processor-time.ts'
import { makeBundle } from './program.ts'
import { traffic } from './traffic.ts'

const LAUNCHER = join(import.meta.dirname, '../../bin/keyhound.cjs')
const DAYS = 42
const KEYS = 60
/** One event in four seconds: 360 a day for each key on average, the busiest far more. */
const EVENTS_PER_SECOND = 0.25
const START_MS = Date.UTC(2026, 2, 2)

/**
 * `keyhound backtest`, file to alerts, in turns with what bounds it: reading the same file, and JSON.parse of its lines.
 * Nearly each event falls into a tick of its own, so nothing is saved by judging several at once.
 */
export const backtestBench: Bench = async (run) => {
  const directory = await mkdtemp(join(tmpdir(), 'keyhound-bench-'))
  const file = join(directory, 'events.ndjson')
  try {
    makeBundle()
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
            `${lines.length} events of ${KEYS} keys in ${days} days, default configuration, one process, its start included`,
            'by processor time, that of the threads that collect garbage included',
          ],
        },
      ],
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Processor seconds of this process and its children: a machine that does other things must not be taken for a slow backtest. */
async function seconds(work: () => Promise<void>): Promise<number> {
  const before = processorSeconds(process.pid)
  await work()
  return processorSeconds(process.pid) - before
}

/** As a user runs it: no alerts are expected of usual traffic, and any is told on standard output. */
async function backtest(file: string): Promise<void> {
  const args = [LAUNCHER, 'backtest', '--events', file, '--format', 'ndjson']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let told = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`keyhound backtest ended with ${code}:\n${told}`)
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
