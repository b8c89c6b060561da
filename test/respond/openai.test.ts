import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startHttpSink, type HttpSink, type RecordedRequest, type SinkAnswer } from '../harness/http-sink.ts'
import { callOf, failureOf, inTime, openRevoker, revokerContract } from './revoker-contract.ts'

const ADMIN = 'sk-admin-0123456789abcdef'
const deleting = (url: string) => ({
  type: 'openai',
  do: 'delete',
  irreversible: true,
  project: 'proj_abc',
  admin_key: ADMIN,
  url,
})
const throttling = (url: string) => ({
  type: 'openai',
  do: 'throttle',
  project: 'proj_abc',
  admin_key: ADMIN,
  url,
})
const LIMITS = '/v1/organization/projects/proj_abc/rate_limits'
const KEYS = '/v1/organization/projects/proj_abc/api_keys'

let sink: HttpSink
beforeEach(async () => {
  sink = await startHttpSink()
})
afterEach(() => sink.close())

revokerContract('OpenAI, delete', {
  settings: deleting,
  call: { keyId: 'key_abc' },
  capabilities: { disable: false, restore: false, throttle: false, delete: true },
  means: 'delete',
  answers: () => ({
    body: JSON.stringify({ object: 'organization.project.api_key.deleted', id: 'key_abc', deleted: true }),
  }),
  secrets: [ADMIN],
})

describe('OpenAI, where a key can only be deleted', () => {
  const call = callOf({ keyId: 'key_abc' })

  test('is asked to delete the key of the project', async () => {
    sink.answerAlways({ body: JSON.stringify({ id: 'key_abc', deleted: true }) })
    await openRevoker(deleting(sink.url)).revoke(call, inTime())
    expect(sink.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([`DELETE ${KEYS}/key_abc`])
    expect(sink.requests[0]?.headers.authorization).toBe(`Bearer ${ADMIN}`)
  })

  test('takes 404 for done when the call is a repeat, and for a wrong project when it is the first', async () => {
    sink.answerAlways({ status: 404, body: '{"error":{"message":"No such API key"}}' })
    const revoker = openRevoker(deleting(sink.url))
    expect(await revoker.revoke({ ...call, isRepeat: true }, inTime())).toEqual({
      receipt: 'answered 404: the key is gone already',
    })
    const error = await failureOf(revoker.revoke(call, inTime()))
    expect([error.retryable, error.message]).toEqual([false, expect.stringContaining('project proj_abc')])
  })

  test('cannot delete unless the configuration says irreversible', () => {
    const unsaid = openRevoker({ ...deleting(sink.url), irreversible: false })
    expect(unsaid.capabilities.delete).toBe(false)
  })

  test('cannot restore', async () => {
    expect((await failureOf(openRevoker(deleting(sink.url)).restore(call, inTime()))).retryable).toBe(false)
  })
})

interface Limit {
  id: string
  model: string
  max_requests_per_1_minute: number
  max_tokens_per_1_minute: number
}

/** The rate limits of a project, in pages of two. */
function projectOf(limits: Limit[]) {
  return ({ method, path, body }: RecordedRequest): SinkAnswer => {
    if (method === 'GET') {
      const after = new URL(path, 'http://x').searchParams.get('after')
      const from = after === null ? 0 : limits.findIndex(({ id }) => id === after) + 1
      const data = limits.slice(from, from + 2)
      const hasMore = from + 2 < limits.length
      return { body: JSON.stringify({ object: 'list', data, has_more: hasMore, last_id: data.at(-1)?.id }) }
    }
    const limit = limits.find(({ id }) => path === `${LIMITS}/${id}`)
    if (limit === undefined) return { status: 404 }
    Object.assign(limit, JSON.parse(body))
    return { body: JSON.stringify(limit) }
  }
}

const limitsOf = (): Limit[] =>
  ['gpt-5', 'gpt-5-mini', 'o4'].map((model, index) => ({
    id: `rl-${model}`,
    model,
    max_requests_per_1_minute: 500 * (index + 1),
    max_tokens_per_1_minute: 30_000,
  }))

revokerContract('OpenAI, throttle', {
  settings: throttling,
  call: { memo: JSON.stringify(limitsOf()) },
  capabilities: { disable: false, restore: true, throttle: true, delete: false },
  means: 'throttle',
  // Forgets at once what it is told, so that a repeat has as much to do.
  answers: (request) => projectOf(limitsOf())(request),
  secrets: [ADMIN],
})

describe('OpenAI, where a project can be slowed down', () => {
  test('remembers the limits, sets them to one request a minute, and puts them back', async () => {
    const limits = limitsOf()
    sink.answerAlways(projectOf(limits))
    const revoker = openRevoker(throttling(sink.url))
    const memo = await revoker.remember?.(callOf(), inTime())
    await revoker.revoke(callOf({ memo }), inTime())
    expect(limits.map((limit) => limit.max_requests_per_1_minute)).toEqual([1, 1, 1])
    expect(limits.map((limit) => limit.max_tokens_per_1_minute)).toEqual([1, 1, 1])
    await revoker.restore(callOf({ memo }), inTime())
    expect(limits).toEqual(limitsOf())
  })

  test('does not take for usual what another revocation has slowed down', async () => {
    const limits = limitsOf()
    sink.answerAlways(projectOf(limits))
    const revoker = openRevoker(throttling(sink.url))
    await revoker.revoke(callOf(), inTime())
    expect(await revoker.remember?.(callOf(), inTime())).toBe('[]')
  })

  test('slows down the models that are named only', async () => {
    const limits = limitsOf()
    sink.answerAlways(projectOf(limits))
    await openRevoker({ ...throttling(sink.url), models: ['gpt-5*'] }).revoke(callOf(), inTime())
    expect(limits.map((limit) => limit.max_requests_per_1_minute)).toEqual([1, 1, 1_500])
  })

  test('does not guess what was before', async () => {
    const error = await failureOf(openRevoker(throttling(sink.url)).restore(callOf(), inTime()))
    expect([error.retryable, error.message]).toEqual([false, expect.stringContaining('does not know')])
  })
})
