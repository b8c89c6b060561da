import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { isGuessable, postStandardWebhook } from '../../src/outbound/standard-webhook.ts'
import { Secret } from '../../src/secret.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'

const BASE64 = Buffer.alloc(32, 3).toString('base64')

describe('a message is signed so that it is taken by', () => {
  let sink: HttpSink
  const fetch = outboundFetch({ allowPrivate: ['127.0.0.0/8'] })
  beforeAll(async () => {
    sink = await startHttpSink()
  })
  afterAll(async () => {
    await sink.close()
    await fetch.close()
  })

  const receive = async (secret: string): Promise<{ body: string; headers: Record<string, string> }> => {
    const message = {
      url: new Secret(sink.url),
      secret: new Secret(secret),
      id: 'msg_1',
      body: '{"type":"x"}',
    }
    await postStandardWebhook(message, { fetch, nowMs: () => Date.now() }, AbortSignal.timeout(5_000))
    const { body = '', headers = {} } = sink.requests.at(-1) ?? {}
    return { body, headers: headers as Record<string, string> }
  }

  test.each([`whsec_${BASE64}`, BASE64])(
    'a library of the specification, with the secret %s',
    async (secret) => {
      const { body, headers } = await receive(secret)
      expect(new Webhook(secret).verify(body, headers)).toEqual({ type: 'x' })
    },
  )

  test.each([BASE64, 'correct horse battery staple', 'short'])(
    'a receiver whose key is the text "%s"',
    async (secret) => {
      const { body, headers } = await receive(secret)
      expect(new Webhook(Buffer.from(secret), { format: 'raw' }).verify(body, headers)).toEqual({ type: 'x' })
    },
  )

  test('nobody who has another secret', async () => {
    const { body, headers } = await receive(`whsec_${BASE64}`)
    const other = new Webhook(`whsec_${Buffer.alloc(32, 4).toString('base64')}`)
    expect(() => other.verify(body, headers)).toThrow('No matching signature')
  })
})

test.each([
  ['hunter2', true],
  ['whsec_c2hvcnQ=', true],
  [`whsec_${BASE64}`, false],
  ['a text of twenty-four bytes and more', false],
])('the secret %s is guessable: %s', (secret, guessable) => {
  expect(isGuessable(new Secret(secret))).toBe(guessable)
})
