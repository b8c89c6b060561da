import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { JobCounts, JobQueue, NewJob } from '../../src/queue/queues.ts'
import { openQueues } from '../../src/queue/queues.ts'
import type { IngestJob } from '../../src/usage/ingest-job.ts'
import { hashSecret } from '../../src/usage/secret-key-id.ts'
import { SOME_TIME_MS, usageEvent } from '../harness/builders.ts'
import { testRedisUrl } from '../harness/redis.ts'
import { HASH_KEY, startApi } from './api.ts'

const NO_JOBS: JobCounts = { waiting: 0, delayed: 0, active: 0, failed: 0, completed: 0 }
const EVENTS = '/api/v1/events'
const NDJSON = { 'content-type': 'application/x-ndjson' }

/** A queue that keeps what is added. */
function keepingQueue(counts: () => Promise<JobCounts> = async () => NO_JOBS) {
  const jobs: NewJob[] = []
  const queue: JobQueue = { add: async (added) => void jobs.push(...added), counts }
  return {
    queue,
    jobs,
    events: () => jobs.flatMap(({ data }) => (data as IngestJob).events as Record<string, unknown>[]),
    refused: () => jobs.flatMap(({ data }) => (data as IngestJob).refused ?? []),
  }
}

describe('POST /events', () => {
  test.each([
    ['one event', (event: object) => JSON.stringify(event), {}],
    ['an array', (event: object) => JSON.stringify([event]), {}],
    ['{"events": [...]}', (event: object) => JSON.stringify({ events: [event] }), {}],
    ['NDJSON', (event: object) => `${JSON.stringify(event)}\r\n\n`, NDJSON],
    [
      'NDJSON with a charset and a byte order mark',
      (event: object) => `\ufeff${JSON.stringify(event)}\n`,
      { 'content-type': 'application/x-ndjson; charset=utf-8' },
    ],
  ])('takes %s and answers 202 with what became of it', async (_name, write, headers) => {
    const { queue, events } = keepingQueue()
    const api = await startApi({ events: queue })
    const event = usageEvent({ team_id: 'team-1', metadata: { a: 'ü' } })
    const answer = await api.post(EVENTS, write(event), headers)
    expect(answer.status).toBe(202)
    expect(answer.json).toEqual({ accepted: 1, rejected: [] })
    expect(JSON.parse(JSON.stringify(events()))).toEqual([{ ...event, timestamp: SOME_TIME_MS }])
  })

  test('names refused events by their place, keeps them for the table of rejected events, and takes the others', async () => {
    const { queue, events, refused } = keepingQueue()
    const api = await startApi({ events: queue })
    const lines = [
      usageEvent(),
      'not json',
      { ...usageEvent(), key_id: undefined },
      usageEvent({ timestamp: '2031-01-01T00:00:00Z' }),
      usageEvent(),
    ]
    const body = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
    const answer = await api.post(EVENTS, body, NDJSON)
    expect(answer.json).toEqual({
      accepted: 2,
      rejected: [
        { index: 1, error: 'event: the line is not valid JSON' },
        { index: 2, error: 'key_id: is missing; it must be a text of 1 to 256 characters' },
        { index: 3, error: 'timestamp: 2031-01-01T00:00:00.000Z is more than 24 hours ahead of the clock' },
      ],
    })
    expect(events()).toHaveLength(2)
    expect(refused().map(({ index, payload }) => [index, typeof payload])).toEqual([
      [1, 'string'],
      [2, 'object'],
      [3, 'object'],
    ])
  })

  test('gives an event without id a UUID, as JSON and as NDJSON', async () => {
    const { queue, events } = keepingQueue()
    const api = await startApi({ events: queue })
    const { id: _id, ...anonymous } = usageEvent()
    await api.post(EVENTS, [anonymous, { ...anonymous, id: null }])
    await api.post(EVENTS, JSON.stringify(anonymous), NDJSON)
    const ids = events().map(({ id }) => id)
    expect(new Set(ids).size).toBe(3)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/)
  })

  test('lets no secret into the queue, and counts what it replaced', async () => {
    const { queue, jobs, events } = keepingQueue()
    const api = await startApi({ events: queue })
    const secret = 'sk-proj-Zm9vYmFyYmF6cXV4Zm9v'
    const answer = await api.post(EVENTS, [
      { ...usageEvent({ key_id: secret }), headers: { authorization: secret } },
      { ...usageEvent({ key_id: secret }), model: 5 },
      { ...usageEvent(), timestamp: secret },
    ])
    expect(events()[0]?.['key_id']).toBe(hashSecret(secret, HASH_KEY))
    expect(JSON.stringify(jobs) + answer.text).not.toContain('Zm9vYmFy')
    expect(api.secrets).toBe(1)
  })

  test('makes jobs of 500 events', async () => {
    const { queue, jobs } = keepingQueue()
    const api = await startApi({ events: queue })
    const answer = await api.post(
      EVENTS,
      Array.from({ length: 1_201 }, () => usageEvent()),
    )
    expect(answer.json).toEqual({ accepted: 1_201, rejected: [] })
    expect(jobs.map(({ data }) => (data as IngestJob).events.length)).toEqual([500, 500, 201])
  })

  test('is a real job in a real queue once it is answered', async () => {
    const queues = await openQueues({ redisUrl: await testRedisUrl() })
    const api = await startApi({ events: queues.queue('usage-events') })
    expect((await api.post(EVENTS, usageEvent())).status).toBe(202)
    expect((await queues.queue('usage-events').counts()).waiting).toBe(1)
    await queues.close()
  })

  test.each([
    [
      'a number',
      '7',
      {},
      400,
      'Send one event, an array of events, {"events": [...]}, or NDJSON (application/x-ndjson).',
    ],
    [
      'nothing',
      '',
      {},
      400,
      'Send one event, an array of events, {"events": [...]}, or NDJSON (application/x-ndjson).',
    ],
    ['an empty array', '[]', {}, 400, 'There is no event in the body.'],
    ['blank lines', '\n \n', NDJSON, 400, 'There is no event in the body.'],
    ['events that are no array', '{"events": 5}', {}, 400, '"events" must be an array of events.'],
    ['half a body', '{"id": "sk-proj-Zm9vYmFyYmF6"', {}, 400, 'The body is not valid JSON (character 29).'],
    [
      'another type',
      'a=b',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'Send application/json, or for events also application/x-ndjson.',
    ],
    [
      'a compressed body',
      '{}',
      { 'content-encoding': 'gzip' },
      415,
      'The body is compressed; send it as it is, without Content-Encoding.',
    ],
    [
      'more than 5 MiB',
      `[${' '.repeat(5 * 1024 * 1024)}]`,
      {},
      413,
      'The body is too large: 5 MiB at most for events, 64 KiB elsewhere.',
    ],
    ['a million nothings', `[${'{},'.repeat(200_000)}{}]`, {}, 413, '200001 events are more than 120000.'],
  ])('refuses %s as a whole', async (_name, body, headers, status, detail) => {
    const { queue, jobs } = keepingQueue()
    const api = await startApi({ events: queue })
    const answer = await api.post(EVENTS, body, headers as Record<string, string>)
    expect(answer.json).toMatchObject({ status, detail })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(jobs).toEqual([])
  })

  test('refuses a body that is not UTF-8', async () => {
    const api = await startApi({ events: keepingQueue().queue })
    const answer = await api.call(EVENTS, {
      method: 'POST',
      body: Buffer.from([0x22, 0xff, 0xfe, 0x22]),
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.json).toMatchObject({ status: 400, detail: 'The body is not UTF-8.' })
  })

  test('takes 5 MiB of events', async () => {
    const { queue } = keepingQueue()
    const api = await startApi({ events: queue })
    const event = usageEvent()
    const count = Math.floor((5 * 1024 * 1024) / (JSON.stringify(event).length + 8))
    const answer = await api.post(
      EVENTS,
      Array.from({ length: count }, () => usageEvent()),
    )
    expect(answer.json).toEqual({ accepted: count, rejected: [] })
  })

  test('answers 503 with Retry-After while the queue cannot be reached', async () => {
    const away = async () => Promise.reject(new Error('connect ECONNREFUSED'))
    for (const queue of [
      { ...keepingQueue().queue, add: away },
      { ...keepingQueue().queue, counts: away },
    ]) {
      const answer = await (await startApi({ events: queue })).post(EVENTS, usageEvent())
      expect(answer.status).toBe(503)
      expect(answer.headers.get('retry-after')).toBe('5')
      expect(answer.text).not.toContain('ECONNREFUSED')
    }
  })

  test('answers 429 with Retry-After while too many jobs wait, and takes events again afterwards', async () => {
    const clock = new ManualClock(SOME_TIME_MS)
    let waiting = 10
    const { queue, jobs } = keepingQueue(async () => ({ ...NO_JOBS, waiting }))
    const api = await startApi({ events: queue, backlogMax: 10, clock })
    const answer = await api.post(EVENTS, usageEvent())
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '5'])
    expect(jobs).toEqual([])
    waiting = 9
    clock.advance(1_000)
    expect((await api.post(EVENTS, usageEvent())).status).toBe(202)
  })
})
