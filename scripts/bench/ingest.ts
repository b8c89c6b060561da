import { createPostgresBackend, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import type { IngestMetrics } from '../../src/ingest/metrics.ts'
import { startIngest } from '../../src/ingest/worker.ts'
import { openQueues } from '../../src/queue/queues.ts'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { type Bench, type BenchResult, type BenchRun, type Contestant, inTurns, ratioOf } from './bench.ts'
import { copyEvents } from './copy-limit.ts'
import { CostMeter } from './cost-meter.ts'
import { enrich, enrichedOf } from './enriched.ts'
import { startNaive } from './naive-ingest.ts'
import { type BenchServers, startServers } from './servers.ts'
import { asJobs, type SentEvent, traffic } from './traffic.ts'
import { statementResult } from './write-statement.ts'

interface Scenario {
  readonly backend: 'redis' | 'postgres'
  readonly perJob: 1 | 100
  readonly gates: { readonly naive: Limits; readonly copy: Limits }
}
type Limits = readonly [gate: number, goal: number]

const SCENARIOS: readonly Scenario[] = [
  { backend: 'redis', perJob: 1, gates: { naive: [8, 15], copy: [0.15, 0.3] } },
  { backend: 'redis', perJob: 100, gates: { naive: [14, 25], copy: [0.25, 0.45] } },
  { backend: 'postgres', perJob: 1, gates: { naive: [20, 35], copy: [0.15, 0.3] } },
  { backend: 'postgres', perJob: 100, gates: { naive: [12, 20], copy: [0.25, 0.45] } },
]
const EVENTS = 50_000
const EVENTS_NAIVE = 3_000
/** Jobs that are added at a time, before the clock starts. */
const FILL_JOBS = 2_000
const QUEUE = 'bench-usage'
const START_MS = Date.UTC(2026, 10, 20, 12)

/** Events from the queue into the tables: keyhound, the naive worker, and COPY; and the write statement alone. */
export const ingestBench: Bench = async (run) => {
  const servers = await startServers()
  try {
    const results: BenchResult[] = []
    for (const scenario of SCENARIOS) {
      const name = nameOf(scenario)
      if (run.only !== undefined && !name.includes(run.only)) continue
      run.progress(name)
      results.push(await compare(servers, scenario, name, run))
    }
    if (run.only === undefined || 'write statement'.includes(run.only))
      results.push(await statementResult(servers, run))
    return { results }
  } finally {
    await servers.stop()
  }
}

function nameOf({ backend, perJob }: Scenario): string {
  return `${perJob === 1 ? 'single-event jobs' : `${perJob}-event jobs`} on ${backend}`
}

async function compare(
  servers: BenchServers,
  scenario: Scenario,
  name: string,
  run: BenchRun,
): Promise<BenchResult> {
  const scale = run.quick ? 0.1 : 1
  const events = [...traffic({ events: EVENTS * scale, startMs: START_MS })]
  const rows = enrichedOf(events)
  const cost = new CostMeter(servers.pids)
  const few = events.slice(0, EVENTS_NAIVE * scale)
  const contestants: Contestant[] = [
    { name: 'keyhound', run: () => measure(servers, scenario, events, startOurs, cost.of('keyhound')) },
    { name: 'naive', run: () => measure(servers, scenario, few, startNaiveOn, cost.of('naive')) },
    {
      name: 'COPY',
      run: async () => {
        await servers.clear()
        const end = cost.of('COPY')(rows.length)
        const seconds = await copyEvents(servers.databaseUrl, rows)
        end()
        return rows.length / seconds
      },
    },
  ]
  // Warms caches, compiles, makes the partition.
  await measure(servers, scenario, events.slice(0, 2_000), startOurs, cost.of('warming up'))
  const figures = await inTurns(contestants, run, 'events/s')
  const { naive, copy } = scenario.gates
  return {
    name,
    unit: 'events/s',
    figures,
    goals: [
      goalOf('against naive', ratioOf(figures, 'keyhound', 'naive'), naive),
      goalOf('share of COPY', ratioOf(figures, 'keyhound', 'COPY'), copy),
    ],
    notes: [
      `${events.length} events of 5,000 keys (naive: ${few.length}), all in the queue at the start`,
      ...contestants.map(({ name }) => cost.text(name)),
    ],
  }
}

function goalOf(name: string, measured: number, [gate, goal]: Limits) {
  return { name, measured, gate, goal, better: 'higher', unit: 'x' } as const
}

type StartConsumer = (
  servers: BenchServers,
  scenario: Scenario,
  onStored: (events: number) => void,
) => Promise<{ stop(): Promise<void> }>

/** Events per second from the start of the consumer until the queue is empty. */
async function measure(
  servers: BenchServers,
  scenario: Scenario,
  events: readonly SentEvent[],
  start: StartConsumer,
  cost: (events: number) => () => void,
): Promise<number> {
  await servers.clear()
  const redis =
    scenario.backend === 'redis' ? new Redis(servers.redisUrl, { maxRetriesPerRequest: null }) : undefined
  await redis?.flushall()
  const queue =
    redis === undefined
      ? new Queue(QUEUE, { connection: { connectionString: servers.databaseUrl } }, createPostgresBackend)
      : new Queue(QUEUE, { connection: redis })
  const jobs = asJobs(events, scenario.perJob)
  for (let at = 0; at < jobs.length; at += FILL_JOBS) {
    await queue.addBulk(jobs.slice(at, at + FILL_JOBS).map((data) => ({ name: 'usage', data })))
  }
  const all = Promise.withResolvers<void>()
  let stored = 0
  const endCost = cost(events.length)
  const startedAt = performance.now()
  const consumer = await start(servers, scenario, (count) => {
    stored += count
    if (stored >= events.length) all.resolve()
  })
  await all.promise
  while ((await queue.getJobCountByTypes('waiting', 'active')) > 0)
    await new Promise((done) => setTimeout(done, 2))
  const seconds = (performance.now() - startedAt) / 1_000
  endCost()
  await consumer.stop()
  await queue.close()
  redis?.disconnect()
  return events.length / seconds
}

async function startNaiveOn(
  servers: BenchServers,
  { backend }: Scenario,
  onStored: (events: number) => void,
) {
  const { databaseUrl } = servers
  const redisUrl = backend === 'redis' ? servers.redisUrl : undefined
  return startNaive({ queueName: QUEUE, databaseUrl, redisUrl, onStored })
}

async function startOurs(servers: BenchServers, { backend }: Scenario, onStored: (events: number) => void) {
  const { databaseUrl } = servers
  const queues = await openQueues({
    databaseUrl,
    redisUrl: backend === 'redis' ? servers.redisUrl : undefined,
    onError: (error) => process.stderr.write(`queue: ${error.message}\n`),
  })
  const database = openDatabase(databaseUrl)
  const ingest = startIngest({
    queues,
    queueName: QUEUE,
    writer: createUsageWriter(database, systemClock),
    enrich,
    hashKey: Buffer.alloc(32, 7),
    metrics: countingMetrics(onStored),
    log: {
      info: () => {},
      warn: (_fields, message) => process.stderr.write(`${message}\n`),
      error: console.error,
    },
    clock: systemClock,
  })
  return {
    async stop() {
      await ingest.stop()
      await queues.close()
      await database.destroy()
    },
  }
}

function countingMetrics(onStored: (events: number) => void): IngestMetrics {
  return {
    ingested: onStored,
    duplicate: onStored,
    rejected: (_reason, count) => onStored(count),
    secretReplaced: () => {},
    unpriced: () => {},
    jobsDone: () => {},
    batchSeconds: () => {},
  }
}
