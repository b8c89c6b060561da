import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import { KeyhoundProcess } from '../../test/e2e/keyhound-process.ts'
import type { Bench } from './bench.ts'
import { type BenchServers, startServers } from './servers.ts'
import { asJobs, type SentEvent, traffic } from './traffic.ts'

const EVENTS = 5_000_000
const EVENTS_QUICK = 100_000
const PER_JOB = 100
/** Jobs that may wait: enough that ingest never does. */
const WAITING_MAX = 2_000
const SAMPLE_MS = 250

/** Resident memory of a process with the role `ingest`, GeoIP data included, while it stores events as fast as it can. */
export const memoryBench: Bench = async (run) => {
  const servers = await startServers()
  try {
    const events = run.quick ? EVENTS_QUICK : EVENTS
    const samples = await ingestWhileSampling(servers, events, run.progress)
    const quarter = Math.floor(samples.length / 4)
    const top = (from: number, to: number): number => Math.max(...samples.slice(from, to))
    const [early, late] = [top(quarter, 2 * quarter), top(3 * quarter, samples.length)]
    const figures = [
      { name: 'highest', median: Math.max(...samples), rounds: [] },
      { name: 'highest in the second quarter', median: early, rounds: [] },
      { name: 'highest in the last quarter', median: late, rounds: [] },
    ]
    return {
      results: [
        {
          name: 'resident memory of ingest under load',
          unit: 'MB',
          figures,
          goals: [
            {
              name: 'highest',
              measured: Math.max(...samples),
              gate: 350,
              goal: 280,
              better: 'lower',
              unit: 'MB',
            },
            {
              name: 'growth, last to second quarter',
              measured: late / early,
              gate: 1.1,
              goal: 1.05,
              better: 'lower',
              unit: 'x',
            },
          ],
          notes: [`${events} events in jobs of ${PER_JOB} from Redis, taken as fast as they can be stored`],
        },
      ],
    }
  } finally {
    await servers.stop()
  }
}

async function ingestWhileSampling(
  { databaseUrl, redisUrl, database }: BenchServers,
  count: number,
  progress: (line: string) => void,
): Promise<number[]> {
  const daemon = new KeyhoundProcess(['start', '--role', 'ingest'], {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
  })
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue('usage-events', { connection })
  try {
    await daemon.ready()
    const samples: number[] = []
    const done = new AbortController()
    const sampling = (async () => {
      while (!done.signal.aborted) {
        samples.push(await residentMb(daemon.pid))
        await delay(SAMPLE_MS)
      }
    })()
    await push(queue, count, progress)
    while ((await queue.getJobCountByTypes('waiting', 'active')) > 0) await delay(100)
    done.abort()
    await sampling
    const { rows } = await sql<{ stored: number }>`select count(*) as stored from usage_event`.execute(
      database,
    )
    if (rows[0]?.stored !== count) throw new Error(`${rows[0]?.stored} of ${count} events were stored`)
    return samples
  } finally {
    await daemon.stop()
    await queue.close()
    connection.disconnect()
  }
}

async function push(queue: Queue, count: number, progress: (line: string) => void): Promise<void> {
  let batch: SentEvent[] = []
  let pushed = 0
  for (const event of traffic({ events: count, eventsPerSecond: 10_000, startMs: Date.now() - 3_600_000 })) {
    batch.push(event)
    if (batch.length < PER_JOB * 100) continue
    while ((await queue.getWaitingCount()) > WAITING_MAX) await delay(20)
    await queue.addBulk(asJobs(batch, PER_JOB).map((data) => ({ name: 'usage', data })))
    pushed += batch.length
    batch = []
    if (pushed % 500_000 === 0) progress(`  ${pushed} events pushed`)
  }
  await queue.addBulk(asJobs(batch, PER_JOB).map((data) => ({ name: 'usage', data })))
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) / 1_024
}
