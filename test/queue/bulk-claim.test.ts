import { randomUUID } from 'node:crypto'
import { createPostgresBackend, FlowProducer, type JobsOptions, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LeasingClaim, TransactionClaim } from '../../src/queue/bulk-claim.ts'
import { openQueues, type Queues } from '../../src/queue/queues.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { Arrivals } from '../harness/arrivals.ts'
import { testDatabase } from '../harness/database.ts'
import { testRedisUrl } from '../harness/redis.ts'

const LIMIT = { jobs: 100, bytes: 1_000_000 }
/** Options that BullMQ must act on when the job is complete, or that change when it runs. */
const OPTIONS_OF_THEIR_OWN: readonly JobsOptions[] = [
  { removeOnComplete: false },
  { removeOnComplete: 100 },
  { removeOnComplete: { age: 3_600 } },
  { removeOnComplete: { age: 3_600, count: 1_000 } },
  { attempts: 3, priority: 2 },
  { deduplication: { id: 'once' } },
  { keepLogs: 5 },
]
/** Options that gateways set as a habit, and that a job which is stored and removed honours by itself. */
const OPTIONS_OF_HABIT: readonly JobsOptions[] = [
  { attempts: 3 },
  { attempts: 3, backoff: { type: 'exponential', delay: 1_000 } },
  { removeOnComplete: true },
  { removeOnComplete: 0 },
  { removeOnComplete: { count: 0 } },
  { removeOnFail: true },
  { removeOnFail: { age: 86_400 } },
  { jobId: 'named', attempts: 5, backoff: 500, removeOnComplete: true, removeOnFail: 1_000 },
]

/** A queue as a gateway opens it, and the claim on it. */
interface Setting {
  readonly gateway: Pick<
    Queue,
    | 'add'
    | 'addBulk'
    | 'pause'
    | 'resume'
    | 'getJobCounts'
    | 'getJobCountByTypes'
    | 'setGlobalConcurrency'
    | 'setGlobalRateLimit'
  >
  /** Takes what it may and ends that well; gives the data. */
  take(limit?: { jobs: number; bytes: number }): Promise<{ data: unknown[]; ordinaryAhead: boolean }>
  addFlow(parentData: unknown, childData: unknown): Promise<void>
}

function claimContract(
  backend: string,
  open: () => Promise<{ setting: (name: string) => Setting; end(): Promise<void> }>,
) {
  describe(`taking jobs in bulk on ${backend}`, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let setting: Setting
    beforeAll(async () => void (opened = await open()))
    beforeEach(() => void (setting = opened.setting(`bulk-${randomUUID()}`)))
    afterAll(async () => opened.end())

    test('gives the jobs in the order they were added, and each once', async () => {
      await setting.gateway.addBulk([1, 2, 3, 4, 5].map((data) => ({ name: 'job', data })))
      expect(await setting.take({ jobs: 3, bytes: 1_000 })).toEqual({ data: [1, 2, 3], ordinaryAhead: false })
      expect(await setting.take()).toEqual({ data: [4, 5], ordinaryAhead: false })
      expect(await setting.take()).toEqual({ data: [], ordinaryAhead: false })
      expect(await setting.gateway.getJobCounts('waiting', 'active', 'completed', 'failed')).toEqual({
        waiting: 0,
        active: 0,
        completed: 0,
        failed: 0,
      })
    })

    test('stops at the job that passes the bytes', async () => {
      const text = randomUUID().repeat(20)
      await setting.gateway.addBulk([1, 2, 3].map((n) => ({ name: 'job', data: { n, text } })))
      expect((await setting.take({ jobs: 100, bytes: 1_000 })).data).toHaveLength(2)
    })

    test('takes a job that has an id of its own and nothing else', async () => {
      await setting.gateway.add('job', 'named', { jobId: 'my-id' })
      expect((await setting.take()).data).toEqual(['named'])
    })

    test.each(OPTIONS_OF_HABIT)('takes a job with %j like any other', async (options) => {
      await setting.gateway.add('job', 'usual', options)
      expect(await setting.take()).toEqual({ data: ['usual'], ordinaryAhead: false })
      expect(await setting.gateway.getJobCounts('waiting', 'active', 'completed', 'failed')).toEqual({
        waiting: 0,
        active: 0,
        completed: 0,
        failed: 0,
      })
    })

    test.each(OPTIONS_OF_THEIR_OWN)('leaves a job with %j to BullMQ', async (options) => {
      await setting.gateway.add('job', 'special', options)
      expect((await setting.take()).data).toEqual([])
      expect(await setting.gateway.getJobCountByTypes('waiting', 'prioritized')).toBe(1)
    })

    test('says when it left jobs to BullMQ', async () => {
      await setting.gateway.addBulk([
        { name: 'job', data: 1 },
        { name: 'job', data: 2, opts: { removeOnComplete: 3 } },
      ])
      expect(await setting.take()).toEqual({ data: [1], ordinaryAhead: true })
    })

    test('leaves the children of a flow to BullMQ, which has to tell the parent', async () => {
      await setting.addFlow('parent', 'child')
      expect((await setting.take()).data).toEqual([])
    })

    test('takes nothing while the queue is paused, and all when it goes on', async () => {
      await setting.gateway.add('job', 1)
      await setting.gateway.pause()
      expect(await setting.take()).toEqual({ data: [], ordinaryAhead: true })
      await setting.gateway.resume()
      expect((await setting.take()).data).toEqual([1])
    })

    test('takes nothing from a queue with a global concurrency, which only BullMQ counts', async () => {
      await setting.gateway.add('job', 1)
      await setting.gateway.setGlobalConcurrency(3)
      expect(await setting.take()).toEqual({ data: [], ordinaryAhead: true })
    })

    test('takes nothing from a queue with a rate limit, which only BullMQ counts', async () => {
      await setting.gateway.add('job', 1)
      await setting.gateway.setGlobalRateLimit(10, 1_000)
      expect(await setting.take()).toEqual({ data: [], ordinaryAhead: true })
    })
  })
}

claimContract('redis', async () => {
  const redisUrl = await testRedisUrl()
  const queues = await openQueues({ redisUrl })
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  return {
    setting: (name) => ({
      gateway: new Queue(name, { connection }),
      take: async (limit = LIMIT) => {
        const leased = await (queues.bulkClaim(name) as LeasingClaim).claim(limit)
        expect(await leased.complete()).toBe(leased.jobs.length)
        return { data: leased.jobs.map(({ data }) => data), ordinaryAhead: leased.ordinaryAhead }
      },
      addFlow: async (parent, child) => {
        const children = [{ name: 'child', queueName: name, data: child }]
        await new FlowProducer({ connection }).add({
          name: 'parent',
          queueName: name,
          data: parent,
          children,
        })
      },
    }),
    end: async () => {
      await queues.close()
      connection.disconnect()
    },
  }
})

claimContract('postgres', async () => {
  const databaseUrl = await testDatabase()
  const queues = await openQueues({ databaseUrl })
  const database = openDatabase(databaseUrl)
  const opened: { close(): Promise<void> }[] = []
  const connection = { connectionString: databaseUrl }
  return {
    setting: (name) => {
      const gateway = new Queue(name, { connection }, createPostgresBackend)
      opened.push(gateway)
      return {
        gateway,
        take: async (limit = LIMIT) => {
          const { jobs, ordinaryAhead } = await takeIn(database, queues, name, limit)
          return { data: jobs.map(({ data }) => data), ordinaryAhead }
        },
        addFlow: async (parent, child) => {
          const flows = new FlowProducer({ connection }, createPostgresBackend)
          opened.push(flows)
          const children = [{ name: 'child', queueName: name, data: child }]
          await flows.add({ name: 'parent', queueName: name, data: parent, children })
        },
      }
    },
    end: async () => {
      await Promise.all(opened.map((each) => each.close()))
      await queues.close()
      await database.destroy()
    },
  }
})

function takeIn(database: Database, queues: Queues, name: string, limit = LIMIT) {
  const claim = queues.bulkClaim(name) as TransactionClaim
  return database.transaction().execute((trx) => claim.take(trx as never, limit))
}

describe('the layout of BullMQ’s keys in Redis, on which taking jobs in bulk is built', () => {
  let redis: Redis
  let queues: Queues
  let gateway: Queue
  let name: string
  const claimOf = () => queues.bulkClaim(name) as LeasingClaim
  beforeAll(async () => {
    const url = await testRedisUrl()
    redis = new Redis(url, { maxRetriesPerRequest: null })
    queues = await openQueues({ redisUrl: url })
  })
  beforeEach(() => {
    name = `layout-${randomUUID()}`
    gateway = new Queue(name, { connection: redis })
  })
  afterAll(async () => {
    await queues.close()
    redis.disconnect()
  })
  const keys = async () =>
    (await redis.keys(`bull:${name}:*`)).map((key) => key.split(':').slice(2).join(':')).toSorted()

  test('a job that waits is a hash of six fields and an entry of the list `wait`', async () => {
    await gateway.add('job', { n: 1 })
    expect(Object.keys(await redis.hgetall(`bull:${name}:1`)).toSorted()).toEqual(
      ['name', 'data', 'opts', 'timestamp', 'delay', 'priority'].toSorted(),
    )
    expect(await redis.lrange(`bull:${name}:wait`, 0, -1)).toEqual(['1'])
    expect(await redis.hget(`bull:${name}:meta`, 'version')).toMatch(/^bullmq:6\./)
  })

  test('a job that was taken and completed leaves the same keys behind as one that BullMQ completed', async () => {
    const ran = new Arrivals<unknown>('jobs')
    await gateway.add('job', 1)
    const worker = queues.work(name, async (job) => ran.add(job), { keepCompleted: { count: 0 } })
    await ran.waitFor(1)
    await worker.close()
    const left = (await keys()).filter((key) => key !== 'stalled-check')
    await gateway.add('job', 2)
    const leased = await claimOf().claim(LIMIT)
    expect(await redis.lrange(`bull:${name}:active`, 0, -1)).toEqual(['2'])
    await leased.complete()
    expect((await keys()).filter((key) => !['stalled-check', 'marker'].includes(key))).toEqual(
      left.filter((key) => key !== 'marker'),
    )
  })

  test('jobs of a process that died run again when their leases end, and are counted as stalled', async () => {
    await gateway.addBulk([1, 2, 3].map((data) => ({ name: 'job', data })))
    const { jobs } = await claimOf().claim(LIMIT)
    for (const { id } of jobs) await redis.del(`bull:${name}:${id}:lock`) // as if the lease had ended
    const ran = new Arrivals<{ data: unknown; stalls: number }>('jobs')
    const worker = queues.work(name, async ({ data, stalls }) => ran.add({ data, stalls }), { lockMs: 600 })
    await ran.waitFor(3)
    expect(ran.all.toSorted((a, b) => Number(a.data) - Number(b.data))).toEqual(
      [1, 2, 3].map((data) => ({ data, stalls: 1 })),
    )
    await worker.close()
  })

  test('a lease that ended removes nothing: its jobs are somebody else’s', async () => {
    await gateway.addBulk([1, 2].map((data) => ({ name: 'job', data })))
    const leased = await claimOf().claim(LIMIT)
    const [lost] = leased.jobs
    await redis.set(`bull:${name}:${lost?.id}:lock`, 'another')
    expect(await leased.complete()).toBe(1)
    expect(await redis.lrange(`bull:${name}:active`, 0, -1)).toEqual([lost?.id])
  })

  test('jobs that ran before, and died, are left to BullMQ', async () => {
    await gateway.add('job', 1)
    await redis.hset(`bull:${name}:1`, 'stc', '1')
    expect(await claimOf().claim(LIMIT)).toMatchObject({ jobs: [], ordinaryAhead: true })
  })

  test('jobs that are put back wait as the next ones, in their order, and a renewed lease lasts', async () => {
    await gateway.addBulk([1, 2, 3].map((data) => ({ name: 'job', data })))
    const first = await claimOf().claim({ jobs: 2, bytes: 1_000 })
    await redis.pexpire(`bull:${name}:1:lock`, 1_000)
    await first.renew()
    expect(await redis.pttl(`bull:${name}:1:lock`)).toBeGreaterThan(10_000)
    await first.putBack()
    expect(await redis.lrange(`bull:${name}:active`, 0, -1)).toEqual([])
    expect((await claimOf().claim(LIMIT)).jobs.map(({ data }) => data)).toEqual([1, 2, 3])
  })

  test('of a queue that another major version wrote nothing is taken', async () => {
    await gateway.add('job', 1)
    await redis.hset(`bull:${name}:meta`, 'version', 'bullmq:7.0.0')
    expect(await claimOf().claim(LIMIT)).toMatchObject({ jobs: [], ordinaryAhead: true })
  })
})

describe('the layout of BullMQ’s tables in PostgreSQL, on which taking jobs in bulk is built', () => {
  let database: Database
  let queues: Queues
  beforeAll(async () => {
    const databaseUrl = await testDatabase()
    database = openDatabase(databaseUrl)
    queues = await openQueues({ databaseUrl })
  })
  afterAll(async () => {
    await queues.close()
    await database.destroy()
  })

  test('has the columns that say whether a job is plain, and no others', async () => {
    const { rows } = await sql<{ name: string }>`
      select attname as name from pg_attribute
      where attrelid = 'bullmq.job'::regclass and attnum > 0 and not attisdropped order by attnum`.execute(
      database,
    )
    expect(rows.map(({ name }) => name).join(' ')).toBe(
      'queue id seq name state data opts priority delay_ms max_attempts attempts_made attempts_started progress ' +
        'return_value failed_reason stacktrace deferred_failure processed_by added_at_ms process_at_ms processed_at_ms ' +
        'finished_at_ms lock_token locked_until_ms stalled_count dedup_id scheduler_id parent_queue parent_id ' +
        'parent_key pending_deps stalled_marked',
    )
  })

  test('is of a version that is known here', () => {
    expect(queues.bulkClaim('any')).toBeDefined()
  })

  test('jobs wait again when the transaction that took them does not commit', async () => {
    await queues.queue('rolled-back').add([1, 2].map((data) => ({ name: 'job', data })))
    const claim = queues.bulkClaim('rolled-back') as TransactionClaim
    const failed = database.transaction().execute(async (trx) => {
      const { jobs } = await claim.take(trx as never, LIMIT)
      expect(jobs).toHaveLength(2)
      throw new Error('crash')
    })
    await expect(failed).rejects.toThrow('crash')
    expect(await queues.queue('rolled-back').counts()).toMatchObject({ waiting: 2 })
  })

  test('two who take at the same time share the jobs, and neither waits', async () => {
    const numbers = Array.from({ length: 20 }, (_, n) => n)
    await queues.queue('shared').add(numbers.map((data) => ({ name: 'job', data })))
    const claim = queues.bulkClaim('shared') as TransactionClaim
    const taken = await database.transaction().execute(async (trx) => {
      const mine = await claim.take(trx as never, { jobs: 10, bytes: 1_000 })
      const others = await takeIn(database, queues, 'shared')
      return [...mine.jobs, ...others.jobs].map(({ data }) => Number(data))
    })
    expect(taken.toSorted((a, b) => a - b)).toEqual(numbers)
  })

  test('a migration that is not known here ends it', async () => {
    await queues.queue('newer').add([{ name: 'job', data: 1 }])
    await sql`insert into bullmq.migration (version, name, min_client_version) values (9999, 'later', 6)`.execute(
      database,
    )
    expect(await takeIn(database, queues, 'newer')).toEqual({ jobs: [], ordinaryAhead: true })
    await sql`delete from bullmq.migration where version = 9999`.execute(database)
  })
})
