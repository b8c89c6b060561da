import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SWITCH } from '../../src/respond/revoker.ts'
import { startHttpSink, type HttpSink, type RecordedRequest, type SinkAnswer } from '../harness/http-sink.ts'
import { callOf, failureOf, inTime, openRevoker, revokerContract } from './revoker-contract.ts'

const ADMIN_KEY = 'sk-litellm-master-0123456789'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const HASH = sha256('sk-the-virtual-key')
const settings = (url: string) => ({ type: 'litellm', url, admin_key: ADMIN_KEY })

/** The row of the key, as /key/block and /key/unblock answer it. */
function proxy({ path, body }: RecordedRequest): SinkAnswer {
  const { key } = JSON.parse(body) as { key: string }
  return { body: JSON.stringify({ token: key, key_alias: 'ci', blocked: path === '/key/block', spend: 1.5 }) }
}

revokerContract('LiteLLM', {
  settings,
  call: { keyId: HASH },
  capabilities: SWITCH,
  means: 'disable',
  answers: proxy,
  secrets: [ADMIN_KEY],
})

describe('LiteLLM', () => {
  let sink: HttpSink
  beforeEach(async () => {
    sink = await startHttpSink()
    sink.answerAlways(proxy)
  })
  afterEach(() => sink.close())
  const call = callOf({ keyId: HASH })

  test('is asked to block and to unblock the key by its hash, under the name of keyhound', async () => {
    const revoker = openRevoker(settings(sink.url))
    await revoker.revoke(call, inTime())
    await revoker.restore(call, inTime())
    expect(
      sink.requests.map(({ method, path, body }) => [method, path, JSON.parse(body) as unknown]),
    ).toEqual([
      ['POST', '/key/block', { key: HASH }],
      ['POST', '/key/unblock', { key: HASH }],
    ])
    expect(sink.requests[0]?.headers).toMatchObject({
      authorization: `Bearer ${ADMIN_KEY}`,
      'litellm-changed-by': 'keyhound',
    })
  })

  test('complaint 6: an answer that names the hash of the hash means that another key was looked for', async () => {
    sink.answerAlways({ body: JSON.stringify({ token: sha256(HASH), blocked: true }) })
    const error = await failureOf(openRevoker(settings(sink.url)).revoke(call, inTime()))
    expect([error.retryable, error.message]).toEqual([
      false,
      expect.stringContaining('hashed the hash of the key once more'),
    ])
  })

  test.each([
    ['of a key that is not blocked', { token: HASH, blocked: false }, true],
    ['without the key', {}, false],
    ['of another key', { token: sha256('other'), blocked: true }, false],
  ])('complaint 6: HTTP 200 with a row %s is no revocation', async (_name, row, retryable) => {
    sink.answerAlways({ body: JSON.stringify(row) })
    const error = await failureOf(openRevoker(settings(sink.url)).revoke(call, inTime()))
    expect(error.retryable).toBe(retryable)
  })

  test('complaint 6: HTTP 200 with null is no revocation', async () => {
    sink.answerAlways({ body: 'null' })
    const error = await failureOf(openRevoker(settings(sink.url)).revoke(call, inTime()))
    expect(error.message).toContain('does not show in its answer that it found the key')
  })

  test('is not asked about a key id that is no hash, and the error says what to set', async () => {
    const error = await failureOf(openRevoker(settings(sink.url)).revoke(callOf(), inTime()))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    expect(error.message).toContain('key_id is "key-1", and the hash that LiteLLM sends')
    expect(error.message).toContain('set id_from')
  })

  test('is asked by the id that ids or the metadata of the usage name', async () => {
    const named = openRevoker({ ...settings(sink.url), ids: { 'key-1': HASH } })
    await named.revoke(callOf(), inTime())
    const told = openRevoker({ ...settings(sink.url), id_from: 'metadata.token' })
    await told.revoke(
      callOf({ metadata: (name) => Promise.resolve(name === 'token' ? HASH : undefined) }),
      inTime(),
    )
    expect(sink.requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { key: HASH },
      { key: HASH },
    ])
    const error = await failureOf(told.revoke(callOf(), inTime()))
    expect(error.message).toContain('no usage event of the key has metadata.token')
  })
})
