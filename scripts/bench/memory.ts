import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import { KeyhoundProcess } from '../../test/e2e/keyhound-process.ts'
import { type Bench, type BenchResult, type BenchRun, type Goal, inSize } from './bench.ts'
import { makeBundle } from './program.ts'
import { type BenchServers, startServers } from './servers.ts'
import { asJobs, type SentEvent, traffic } from './traffic.ts'

const QUEUE = 'usage-events'
const PER_JOB = 100
/** Jobs that may wait under load: enough that ingest never does. */
const WAITING_MAX = 2_000
const SAMPLE_MS = 250
const ADDED_AT_ONCE = 5_000
const HOUR_MS = 3_600_000

/** What a process with the role `ingest` takes, GeoIP data included, while it stores events as fast as it can. */
export const memoryBench: Bench = async (run) => {
  makeBundle()
  const parts = [
    { name: 'under load', measure: underLoad },
    { name: 'backlog', measure: ofBacklog },
  ]
  const results: BenchResult[] = []
  for (const { name, measure } of parts) {
    if (run.only !== undefined && !name.includes(run.only)) continue
    const servers = await startServers()
    try {
      results.push(await measure(servers, run))
    } finally {
      await servers.stop()
    }
  }
  return { results }
}

/** Events come for as long as it lasts, in jobs of 100; the queue is never long and never empty. */
async function underLoad(servers: BenchServers, run: BenchRun): Promise<BenchResult> {
  const events = inSize(run, { full: 1_000_000, quick: 100_000 })
  return whileIngesting(servers, async ({ queue, sampling }) => {
    const samples = sampling()
    await push(queue, events, run.progress)
    while ((await queue.getJobCountByTypes('waiting', 'active')) > 0) await delay(100)
    const { residentMb } = await samples.end()
    await expectStored(servers, events)
    return {
      name: 'resident memory of ingest under load',
      unit: 'MB',
      figures: figuresOf(residentMb, events),
      goals: goalsOf(residentMb),
      notes: [`${events} events in jobs of ${PER_JOB} from Redis, taken as fast as they can be stored`],
    }
  })
}

/** All jobs, of one event each, are there before ingest starts. */
async function ofBacklog(servers: BenchServers, run: BenchRun): Promise<BenchResult> {
  const jobs = inSize(run, { full: 2_000_000, quick: 50_000 })
  const connection = new Redis(servers.redisUrl, { maxRetriesPerRequest: null })
  const loading = new Queue(QUEUE, { connection })
  await pile(loading, jobs, run.progress)
  await loading.close()
  connection.disconnect()
  return whileIngesting(servers, async ({ queue, sampling }) => {
    const startedAt = performance.now()
    const samples = sampling()
    let next = 0
    for (;;) {
      const left = await queue.getJobCountByTypes('waiting', 'active')
      if (left === 0) break
      if (jobs - left >= next) {
        run.progress(`  ${jobs - left} of ${jobs} jobs drained`)
        next = jobs - left + jobs / 10
      }
      await delay(250)
    }
    const seconds = (performance.now() - startedAt) / 1_000
    const { residentMb, lagSeconds } = await samples.end()
    await expectStored(servers, jobs)
    const [last = Number.NaN] = lagSeconds.slice(-1)
    return {
      name: 'resident memory of ingest while a backlog drains',
      unit: 'MB',
      figures: figuresOf(residentMb, jobs),
      goals: goalsOf(residentMb),
      notes: [
        `${jobs} jobs of one event in Redis, drained in ${Math.round(seconds)} s (${Math.round(jobs / seconds)}/s)`,
        `keyhound_queue_lag_seconds: ${Math.round(Math.max(...lagSeconds))} at the most, ${Math.round(last)} at the end`,
      ],
    }
  })
}

interface Ingesting {
  readonly queue: Queue
  /** Begins to look at the process. */
  readonly sampling: () => { end(): Promise<Samples> }
}

interface Samples {
  readonly residentMb: readonly number[]
  readonly lagSeconds: readonly number[]
}

async function whileIngesting<Result>(
  { databaseUrl, redisUrl }: BenchServers,
  work: (ingesting: Ingesting) => Promise<Result>,
): Promise<Result> {
  const daemon = new KeyhoundProcess(['start', '--role', 'ingest'], {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
  })
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue(QUEUE, { connection })
  try {
    const url = await daemon.ready()
    return await work({ queue, sampling: () => sample(daemon.pid, url) })
  } finally {
    await daemon.stop()
    await queue.close()
    connection.disconnect()
  }
}

function sample(pid: number, url: string): { end(): Promise<Samples> } {
  const residentMb: number[] = []
  const lagSeconds: number[] = []
  const done = new AbortController()
  const sampling = (async () => {
    while (!done.signal.aborted) {
      residentMb.push(await residentMbOf(pid))
      lagSeconds.push(await lagSecondsAt(url))
      await delay(SAMPLE_MS)
    }
  })()
  return {
    end: async () => {
      done.abort()
      await sampling
      lagSeconds.push(await lagSecondsAt(url)) // the last one may be from before the end
      return { residentMb, lagSeconds }
    },
  }
}

async function residentMbOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) / 1_024
}

async function lagSecondsAt(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^keyhound_queue_lag_seconds (\S+)/m.exec(text)?.[1] ?? Number.NaN)
}

function figuresOf(samples: readonly number[], events: number): BenchResult['figures'] {
  const single = (name: string, median: number) => ({ name, median, rounds: [] })
  return [
    single('at the start', samples[0] ?? Number.NaN),
    single('highest', Math.max(...samples)),
    single('highest in the second quarter', topOfQuarter(samples, 1)),
    single('highest in the last quarter', topOfQuarter(samples, 3)),
    single('trend of the second half, per million events', (slope(samples) * samples.length * 1e6) / events),
  ]
}

function goalsOf(samples: readonly number[]): Goal[] {
  const growth = topOfQuarter(samples, 3) / topOfQuarter(samples, 1)
  return [
    { name: 'highest', measured: Math.max(...samples), gate: 350, goal: 280, better: 'lower', unit: 'MB' },
    { name: 'last to second quarter', measured: growth, gate: 1.1, goal: 1.05, better: 'lower', unit: 'x' },
  ]
}

function topOfQuarter(samples: readonly number[], quarter: number): number {
  const length = Math.ceil(samples.length / 4)
  return Math.max(...samples.slice(quarter * length, (quarter + 1) * length))
}

/** Least squares over the second half: by how much a sample is higher than the one before. */
function slope(samples: readonly number[]): number {
  const half = samples.slice(Math.floor(samples.length / 2))
  const middle = (half.length - 1) / 2
  const mean = half.reduce((sum, value) => sum + value, 0) / half.length
  const rise = half.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0)
  return rise / half.reduce((sum, _, at) => sum + (at - middle) ** 2, 0)
}

async function expectStored({ database }: BenchServers, count: number): Promise<void> {
  const { rows } = await sql<{ stored: number }>`select count(*) as stored from usage_event`.execute(database)
  if (rows[0]?.stored !== count) throw new Error(`${rows[0]?.stored} of ${count} events were stored`)
}

async function push(queue: Queue, count: number, progress: (line: string) => void): Promise<void> {
  let pushed = 0
  for (const batch of inBatches(count, PER_JOB * 100)) {
    while ((await queue.getWaitingCount()) > WAITING_MAX) await delay(20)
    await add(queue, asJobs(batch, PER_JOB))
    pushed += batch.length
    if (pushed % 500_000 === 0) progress(`  ${pushed} events pushed`)
  }
}

/** Two batches at a time: Redis takes the one while the other is made. */
async function pile(queue: Queue, count: number, progress: (line: string) => void): Promise<void> {
  let before: Promise<void> = Promise.resolve()
  let piled = 0
  for (const batch of inBatches(count, ADDED_AT_ONCE)) {
    const adding = add(queue, batch)
    await before
    before = adding
    piled += batch.length
    if (piled % 500_000 === 0) progress(`  ${piled} jobs piled up`)
  }
  await before
}

function* inBatches(events: number, size: number): Generator<SentEvent[]> {
  let batch: SentEvent[] = []
  for (const event of traffic({ events, eventsPerSecond: 10_000, startMs: Date.now() - HOUR_MS })) {
    batch.push(event)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

async function add(queue: Queue, jobs: readonly unknown[]): Promise<void> {
  await queue.addBulk(jobs.map((data) => ({ name: 'usage', data })))
}
