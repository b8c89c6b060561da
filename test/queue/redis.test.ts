import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { EVENT_QUEUE, openQueues } from '../../src/queue/queues.ts'
import { Arrivals } from '../harness/arrivals.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { freePort, startRedisServer } from '../harness/redis-server.ts'
import { outageContract } from './outage-contract.ts'
import { queueContract } from './queue-contract.ts'

queueContract('redis', async () => ({ redisUrl: await testRedisUrl() }))

outageContract('redis', async () => {
  let server = await startRedisServer()
  const { port, url } = server
  return {
    options: { redisUrl: url },
    takeAway: () => server.kill(),
    bringBack: async () => void (server = await startRedisServer({ port })),
    end: () => server.kill(),
  }
})

describe('the queue on redis', () => {
  test('takes the jobs of a gateway that knows only the URL and plain BullMQ', async () => {
    const redisUrl = await testRedisUrl()
    const gateway = new Queue(EVENT_QUEUE, { connection: { url: redisUrl } })
    await gateway.add('usage', { id: 'e-1' })
    const queues = await openQueues({ redisUrl })
    const ran = new Arrivals<unknown>('jobs')
    queues.work(EVENT_QUEUE, async (job) => ran.add(job.data))
    await ran.waitFor(1)
    await queues.close()
    await gateway.close()
    expect(ran.all).toEqual([{ id: 'e-1' }])
  })

  test('warns of a Redis that throws jobs away when its memory is full', async () => {
    const server = await startRedisServer({ maxmemoryPolicy: 'allkeys-lru' })
    const queues = await openQueues({ redisUrl: server.url })
    expect(queues.warnings).toEqual([
      'Redis has maxmemory-policy allkeys-lru and may throw jobs away when its memory is full: ' +
        'set maxmemory-policy to noeviction.',
    ])
    await queues.close()
    await server.kill()
  })
})

describe('a REDIS_URL that does not work', () => {
  test('where nobody listens: the error names the variable and the address, not the password', async () => {
    const port = await freePort()
    const refused = openQueues({ redisUrl: `redis://user:hunter2@127.0.0.1:${port}/3` })
    const message = await refused.catch((error: Error) => error.message)
    expect(message).toBe(
      `Redis cannot be reached at redis://127.0.0.1:${port}/3 (REDIS_URL): connect ECONNREFUSED 127.0.0.1:${port}`,
    )
  })

  test('where somebody listens who never answers: an error within five seconds', async () => {
    const mute = createServer().listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const startedAt = performance.now()
    const url = `redis://127.0.0.1:${(mute.address() as AddressInfo).port}`
    await expect(openQueues({ redisUrl: url })).rejects.toThrow(/REDIS_URL/)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    mute.close()
  })

  test('with a wrong password: the server’s reason, without the password', async () => {
    const server = await startRedisServer()
    const admin = new Redis(server.url)
    await admin.config('SET', 'requirepass', 'right')
    const refused = openQueues({ redisUrl: server.url.replace('//', '//:hunter2@') })
    const message = await refused.catch((error: Error) => error.message)
    admin.disconnect()
    await server.kill()
    expect(message).toMatch(/^Redis cannot be reached at redis:\/\/127.0.0.1:\d+ \(REDIS_URL\): WRONGPASS/)
    expect(message).not.toContain('hunter2')
  })

  test.each(['', 'localhost:6379', 'http://localhost', 'redis://'])(
    'that is no Redis URL (%j) says what is expected',
    async (redisUrl) => {
      await expect(openQueues({ redisUrl })).rejects.toThrow(
        'REDIS_URL is not a Redis URL. Expected redis://',
      )
    },
  )
})
