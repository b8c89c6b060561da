import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { openQueues, type Queues } from '../../src/queue/queues.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { migrate } from '../../src/store/postgres/migrate.ts'
import { usageEvent } from '../harness/builders.ts'
import { usedDataDirectory } from '../harness/data-directory.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { Counts, drained, ingestOn, totalsIn } from './ingest-contract.ts'

const EVENTS = 4_000

/** A PostgreSQL of our own, that can be taken away and brought back at the same address. */
let dataDir: string
let server: EmbeddedPostgres
const start = async () => startEmbeddedPostgres({ dataDir, durability: 'none' })

beforeAll(async () => {
  dataDir = usedDataDirectory()
  server = await start()
  await migrate(server.url())
})
afterAll(async () => {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
})

describe.each([
  ['Redis', async () => ({ redisUrl: await testRedisUrl() })],
  ['PostgreSQL', async () => ({ databaseUrl: server.url() })],
])('ingest from %s, when the database goes away in the middle', (_name, queueServer) => {
  async function withServers(run: (queues: Queues, database: Database) => Promise<void>): Promise<void> {
    const queues = await openQueues(await queueServer())
    const database = openDatabase(server.url())
    try {
      await run(queues, database)
    } finally {
      await queues.close()
      await database.destroy()
    }
  }
  const push = async (queues: Queues, queueName: string): Promise<void> => {
    const jobs = Array.from({ length: EVENTS / 20 }, () => ({
      name: 'events',
      data: { events: Array.from({ length: 20 }, () => usageEvent()) },
    }))
    await queues.queue(queueName).add(jobs)
  }

  test(
    'waits, goes on by itself when it is back, and has lost and doubled nothing',
    { timeout: 90_000 },
    async () => {
      await withServers(async (queues, database) => {
        const before = await totalsIn(database)
        const queueName = `usage-${randomUUID()}`
        await push(queues, queueName)
        const metrics = new Counts()
        const ingest = ingestOn({ queues, queueName, database, metrics })
        await vi.waitFor(() => expect(metrics.of('ingested')).toBeGreaterThan(0), {
          timeout: 20_000,
          interval: 1,
        })
        await server.stop()
        server = await start()
        await drained(queues, queueName)
        expect(await totalsIn(database)).toEqual({
          events: before.events + EVENTS,
          counted: before.counted + EVENTS,
          rejected: before.rejected,
        })
        // On PostgreSQL BullMQ marks jobs as failed that could not be completed during the outage; all of them were committed.
        if (queues.backend === 'redis') expect((await queues.queue(queueName).counts()).failed).toBe(0)
        await ingest.stop()
      })
    },
  )
})

test(
  'stopped while the database is away, ingest gives its jobs back, and the next start does them',
  { timeout: 60_000 },
  async () => {
    const queues = await openQueues({ redisUrl: await testRedisUrl() })
    const database = openDatabase(server.url())
    const queueName = `usage-${randomUUID()}`
    const before = await totalsIn(database)
    await server.stop()
    const ingest = ingestOn({ queues, queueName, database, metrics: new Counts() })
    await queues.queue(queueName).add([{ name: 'event', data: usageEvent() }])
    await vi.waitFor(async () => expect((await queues.queue(queueName).counts()).active).toBe(1))
    await ingest.stop()
    expect(await queues.queue(queueName).counts()).toMatchObject({ waiting: 1, active: 0, failed: 0 })

    server = await start()
    const again = ingestOn({ queues, queueName, database, metrics: new Counts() })
    await drained(queues, queueName)
    expect((await totalsIn(database)).events).toBe(before.events + 1)
    await again.stop()
    await queues.close()
    await database.destroy()
  },
)
