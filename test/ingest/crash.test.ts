import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { openQueues, type Queues } from '../../src/queue/queues.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { migrate } from '../../src/store/postgres/migrate.ts'
import { usageEvent } from '../harness/builders.ts'
import { usedDataDirectory } from '../harness/data-directory.ts'
import { testDatabase } from '../harness/database.ts'
import { startRedisServer } from '../harness/redis-server.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { Counts, drained, ingestOn, totalsIn } from './ingest-contract.ts'

/** One job after the other takes ten times as long: fewer events then, and still most of them after the crash. */
const EVENTS = { bulk: 6_000, plain: 2_400 }
const REPEATED_OF = 20
const BROKEN_OF = 50
/** Stored when the server is killed: early enough that most is still to come. */
const STORED_AT_CRASH = 500

function removedAfterwards(directory: string): string {
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Half of the events alone in their jobs, half in jobs of 20; repeats and broken ones lie among them. */
function backlog(count: number): unknown[] {
  const good = Array.from({ length: count }, (_, at) => usageEvent({ key_id: `key-${at % 41}` }))
  const broken = Array.from({ length: count / BROKEN_OF }, () => usageEvent({ timestamp: 'yesterday' }))
  const repeated = good.filter((_, at) => at % REPEATED_OF === 0)
  const all = [...good, ...broken, ...repeated].toSorted((a, b) => hash(a.id) - hash(b.id))
  const alone: unknown[] = all.slice(0, all.length / 2)
  const rest = all.slice(all.length / 2)
  return [
    ...alone,
    ...Array.from({ length: Math.ceil(rest.length / 20) }, (_, job) => ({
      events: rest.slice(job * 20, job * 20 + 20),
    })),
  ]
}

/** The same order at every run, and none that the events had. */
function hash(text: string): number {
  return Array.from(text).reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 1_000_003, 7)
}

/** Fills the queue, starts two that ingest, crashes something in the middle, and counts what is there in the end. */
async function countsAfter(
  servers: { queues: Queues; database: Database; take: 'bulk' | 'plain' },
  crash: () => Promise<void>,
): Promise<unknown> {
  const { queues, database, take } = servers
  const queueName = `usage-${randomUUID()}`
  await queues.queue(queueName).add(backlog(EVENTS[take]).map((data) => ({ name: 'usage', data })))
  const metrics = new Counts()
  const running = [1, 2].map(() => ingestOn({ queues, queueName, database, metrics, take }))
  await vi.waitFor(() => expect(metrics.of('ingested')).toBeGreaterThan(STORED_AT_CRASH), {
    timeout: 30_000,
    interval: 1,
  })
  expect(metrics.of('ingested')).toBeLessThan(EVENTS[take])
  await crash()
  await drained(queues, queueName, 90_000)
  const totals = await totalsIn(database)
  await Promise.all(running.map((ingest) => ingest.stop()))
  return totals
}

describe.each(['bulk', 'plain'] as const)('jobs taken %s', (take) => {
  const exact = { events: EVENTS[take], counted: EVENTS[take], rejected: EVENTS[take] / BROKEN_OF }

  test(
    'are counted exactly although Redis, with its append-only file, is killed with -9',
    { timeout: 120_000 },
    async () => {
      const keepIn = removedAfterwards(await mkdtemp(join(tmpdir(), `kh-test-${process.pid}-redis-`)))
      let redis = await startRedisServer({ keepIn })
      const { port } = redis
      const queues = await openQueues({ redisUrl: redis.url })
      const database = openDatabase(await testDatabase())
      const counts = await countsAfter({ queues, database, take }, async () => {
        await redis.kill()
        redis = await startRedisServer({ port, keepIn })
      })
      expect(counts).toEqual(exact)
      await queues.close()
      await database.destroy()
      await redis.kill()
    },
  )

  test.each(['redis', 'postgres'] as const)(
    'from %s are counted exactly although PostgreSQL is killed with -9',
    { timeout: 120_000 },
    async (backend) => {
      const server = await startEmbeddedPostgres({ dataDir: removedAfterwards(usedDataDirectory()) })
      const databaseUrl = server.url()
      await migrate(databaseUrl)
      const queues = await openQueues(
        backend === 'redis' ? { redisUrl: await testRedisUrl() } : { databaseUrl },
      )
      const database = openDatabase(databaseUrl)
      // keyhound's own server comes back by itself, as a supervised one would.
      const counts = await countsAfter({ queues, database, take }, async () => {
        process.kill(server.pid, 'SIGKILL')
      })
      expect(counts).toEqual(exact)
      await queues.close()
      await database.destroy()
      await server.stop()
    },
  )
})
