import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openQueues, type Job, type Queues } from '../../src/queue/queues.ts'
import { REVOKER_TYPES } from '../../src/respond/registry.ts'
import type { Revoker, RevokerTools } from '../../src/respond/revoker.ts'
import { testDatabase } from '../harness/database.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { callOf, failureOf, inTime } from './revoker-contract.ts'

function open(queue: RevokerTools['queue']): Revoker {
  const type = REVOKER_TYPES.find((known) => known.type === 'queue')
  if (type === undefined) throw new Error('no queue revoker')
  return type.open(type.schema.parse({ type: 'queue' }), { fetch, nowMs: () => 0, queue })
}

describe.each(['redis', 'postgres'] as const)('the queue that revokes, on %s', (backend) => {
  let queues: Queues
  beforeAll(async () => {
    queues = await openQueues(
      backend === 'redis' ? { redisUrl: await testRedisUrl() } : { databaseUrl: await testDatabase() },
    )
  })
  afterAll(() => queues.close())

  test('gets one job a request, however often it is repeated, with what the webhook would get', async () => {
    const revoker = open((name) => queues.queue(name))
    await revoker.revoke(callOf(), inTime())
    await revoker.revoke(callOf({ isRepeat: true }), inTime())
    await revoker.restore(callOf({ requestId: `${callOf().requestId}-restore` }), inTime())
    const jobs: Job[] = []
    const both = Promise.withResolvers<void>()
    const worker = queues.work('key-revocations', async (job) => {
      jobs.push(job)
      if (jobs.length === 2) both.resolve()
      return Promise.resolve()
    })
    await both.promise
    await worker.close()
    expect(jobs.map(({ name, id }) => [name, id])).toEqual([
      ['key.revoke', callOf().requestId],
      ['key.restore', `${callOf().requestId}-restore`],
    ])
    expect(jobs[0]?.data).toMatchObject({
      type: 'key.revoke',
      timestamp: '2026-03-02T03:00:00.000Z',
      data: {
        key: { key_id: 'key-1' },
        reason: 'critical alert of volume_spike',
        alert: { id: expect.any(String) as string },
      },
    })
    expect((await queues.queue('key-revocations').counts()).waiting).toBe(0)
  })
})

describe('the queue that revokes', () => {
  const broken = (add: () => Promise<void>): Revoker =>
    open(() => ({
      add,
      counts: () => Promise.reject(new Error('not asked')),
      oldestWaitingAt: () => Promise.reject(new Error('not asked')),
    }))

  test('that is away is tried again, and its address is not told', async () => {
    const away = broken(() => Promise.reject(new Error('connect ECONNREFUSED redis://:hunter2@10.0.0.1')))
    const error = await failureOf(away.revoke(callOf(), inTime()))
    expect([error.retryable, error.message]).toEqual([true, expect.not.stringContaining('hunter2')])
  })

  test('that does not answer ends with its time', async () => {
    const silent = broken(() => new Promise(() => {}))
    expect((await failureOf(silent.revoke(callOf(), AbortSignal.timeout(50)))).retryable).toBe(true)
  })
})
