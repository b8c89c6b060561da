import { createPostgresBackend, Queue } from 'bullmq'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, inject, test } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { EVENT_QUEUE, openQueues } from '../../src/queue/queues.ts'
import { Arrivals } from '../harness/arrivals.ts'
import { usedDataDirectory } from '../harness/data-directory.ts'
import { testDatabase } from '../harness/database.ts'
import { withDatabase } from '../harness/database-url.ts'
import { freePort } from '../harness/redis-server.ts'
import { outageContract } from './outage-contract.ts'
import { queueContract } from './queue-contract.ts'

queueContract('postgres', async () => ({ databaseUrl: await testDatabase() }))

outageContract('postgres', async () => {
  const dataDir = usedDataDirectory()
  let server = await startEmbeddedPostgres({ dataDir, durability: 'none' })
  return {
    options: { databaseUrl: server.url() },
    takeAway: () => server.stop(),
    bringBack: async () => void (server = await startEmbeddedPostgres({ dataDir, durability: 'none' })),
    end: async () => {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
})

describe('the queue on postgres', () => {
  test('takes the jobs of a gateway that knows only the URL and plain BullMQ', async () => {
    const databaseUrl = await testDatabase()
    const gateway = new Queue(EVENT_QUEUE, { connection: databaseUrl }, createPostgresBackend)
    await gateway.add('usage', { id: 'e-1' })
    const queues = await openQueues({ databaseUrl })
    const ran = new Arrivals<unknown>('jobs')
    queues.work(EVENT_QUEUE, async (job) => ran.add(job.data))
    await ran.waitFor(1)
    await queues.close()
    await gateway.close()
    expect(ran.all).toEqual([{ id: 'e-1' }])
  })
})

describe('a DATABASE_URL that does not work', () => {
  test('where nobody listens: the error names the variable and the address, not the password', async () => {
    const port = await freePort()
    const refused = openQueues({ databaseUrl: `postgres://user:hunter2@127.0.0.1:${port}/prod` })
    const message = await refused.catch((error: Error) => error.message)
    expect(message).toBe(
      `The queue cannot use PostgreSQL at postgres://127.0.0.1:${port}/prod (DATABASE_URL): ` +
        `connect ECONNREFUSED 127.0.0.1:${port}`,
    )
  })

  test('where somebody listens who never answers: an error within five seconds', async () => {
    const mute = createServer().listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const startedAt = performance.now()
    const url = `postgres://127.0.0.1:${(mute.address() as AddressInfo).port}/prod`
    await expect(openQueues({ databaseUrl: url })).rejects.toThrow(/DATABASE_URL/)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    mute.close()
  })

  test('that names a database which is not there says so', async () => {
    const databaseUrl = withDatabase(inject('adminDatabaseUrl'), 'no_such_database')
    await expect(openQueues({ databaseUrl })).rejects.toThrow('database "no_such_database" does not exist')
  })

  test.each(['', 'localhost:5432', 'mysql://localhost/x'])(
    'that is no PostgreSQL URL (%j) says what is expected',
    async (databaseUrl) => {
      await expect(openQueues({ databaseUrl })).rejects.toThrow('DATABASE_URL is not a PostgreSQL URL')
    },
  )
})
