import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SWITCH } from '../../src/respond/revoker.ts'
import { startHttpSink, type HttpSink, type RecordedRequest, type SinkAnswer } from '../harness/http-sink.ts'
import { callOf, failureOf, inTime, openRevoker, revokerContract } from './revoker-contract.ts'

const ADMIN = 'sk-admin-0123456789abcdef'
const bodyOf = ({ body }: RecordedRequest) => JSON.parse(body) as Record<string, unknown>

let sink: HttpSink
beforeEach(async () => {
  sink = await startHttpSink()
})
afterEach(() => sink.close())

const anthropic = (url: string) => ({ type: 'anthropic', admin_key: ADMIN, url })
const anthropicApi = (request: RecordedRequest): SinkAnswer => ({
  body: JSON.stringify({ id: request.path.split('/').at(-1), type: 'api_key', ...bodyOf(request) }),
})
revokerContract('Anthropic', {
  settings: anthropic,
  call: { keyId: 'apikey_01Abc' },
  capabilities: SWITCH,
  means: 'disable',
  answers: anthropicApi,
  secrets: [ADMIN],
})

describe('Anthropic', () => {
  test('is asked to set the key inactive, and active again', async () => {
    sink.answerAlways(anthropicApi)
    const revoker = openRevoker(anthropic(sink.url))
    await revoker.revoke(callOf({ keyId: 'apikey_01Abc' }), inTime())
    await revoker.restore(callOf({ keyId: 'apikey_01Abc' }), inTime())
    expect(sink.requests.map((request) => [request.method, request.path, bodyOf(request)])).toEqual([
      ['POST', '/v1/organizations/api_keys/apikey_01Abc', { status: 'inactive' }],
      ['POST', '/v1/organizations/api_keys/apikey_01Abc', { status: 'active' }],
    ])
    expect(sink.requests[0]?.headers).toMatchObject({ 'x-api-key': ADMIN, 'anthropic-version': '2023-06-01' })
  })

  test('that answers with an active key has not revoked it', async () => {
    sink.answerAlways({ body: JSON.stringify({ id: 'apikey_01Abc', status: 'active' }) })
    const error = await failureOf(
      openRevoker(anthropic(sink.url)).revoke(callOf({ keyId: 'apikey_01Abc' }), inTime()),
    )
    expect(error.retryable).toBe(true)
  })

  test.each(['..', '../keys', 'a/b', ''])('is never asked about a path: %j', async (keyId) => {
    const error = await failureOf(openRevoker(anthropic(sink.url)).revoke(callOf({ keyId }), inTime()))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
  })
})

const openrouter = (url: string) => ({ type: 'openrouter', management_key: ADMIN, url })
const openrouterApi = (request: RecordedRequest): SinkAnswer => ({
  body: JSON.stringify({ data: { hash: request.path.split('/').at(-1), label: 'ci', ...bodyOf(request) } }),
})
revokerContract('OpenRouter', {
  settings: openrouter,
  call: { keyId: 'f01d52606dc8f0a8' },
  capabilities: SWITCH,
  means: 'disable',
  answers: openrouterApi,
  secrets: [ADMIN],
})

describe('OpenRouter', () => {
  test('is asked to disable the key, and to enable it again', async () => {
    sink.answerAlways(openrouterApi)
    const revoker = openRevoker(openrouter(sink.url))
    await revoker.revoke(callOf({ keyId: 'f01d' }), inTime())
    await revoker.restore(callOf({ keyId: 'f01d' }), inTime())
    expect(sink.requests.map((request) => [request.method, request.path, bodyOf(request)])).toEqual([
      ['PATCH', '/api/v1/keys/f01d', { disabled: true }],
      ['PATCH', '/api/v1/keys/f01d', { disabled: false }],
    ])
  })

  test('that answers with an enabled key has not revoked it', async () => {
    sink.answerAlways({ body: JSON.stringify({ data: { hash: 'f01d', disabled: false } }) })
    const error = await failureOf(
      openRevoker(openrouter(sink.url)).revoke(callOf({ keyId: 'f01d' }), inTime()),
    )
    expect(error.retryable).toBe(true)
  })
})

const unkey = (url: string) => ({ type: 'unkey', root_key: ADMIN, url, id_from: 'metadata.unkey_id' })
const unkeyCall = { metadata: () => Promise.resolve('key_2cGKbMxRyIzhCxo1Idjz8q') }
revokerContract('Unkey', {
  settings: unkey,
  call: unkeyCall,
  capabilities: SWITCH,
  means: 'disable',
  answers: () => ({ body: JSON.stringify({ meta: { requestId: 'req_1' }, data: {} }) }),
  secrets: [ADMIN],
})

describe('Unkey', () => {
  test('is asked to disable the key that the usage names, and to enable it again', async () => {
    const revoker = openRevoker(unkey(sink.url))
    await revoker.revoke(callOf(unkeyCall), inTime())
    await revoker.restore(callOf(unkeyCall), inTime())
    expect(sink.requests.map((request) => [request.method, request.path, bodyOf(request)])).toEqual([
      ['POST', '/v2/keys.updateKey', { keyId: 'key_2cGKbMxRyIzhCxo1Idjz8q', enabled: false }],
      ['POST', '/v2/keys.updateKey', { keyId: 'key_2cGKbMxRyIzhCxo1Idjz8q', enabled: true }],
    ])
  })
})
