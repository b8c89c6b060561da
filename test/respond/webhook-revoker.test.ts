import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { alertToJson } from '../../src/alert/alert.ts'
import { systemClock } from '../../src/clock.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { REVOKER_TYPES } from '../../src/respond/registry.ts'
import { RevokerError, type Revoker, type RevokerCall } from '../../src/respond/revoker.ts'
import { alertOf } from '../alert/alerts.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { everythingShownOf } from '../notify/channel-contract.ts'

const SECRET = 'a secret of more than 24 bytes'
const CALL: RevokerCall = {
  requestId: '0197f000-0000-7000-8000-00000000e001',
  keyId: 'key-1',
  reason: 'critical alert of volume_spike',
  at: new Date('2026-03-02T03:00:00Z'),
  alert: alertToJson(alertOf()),
}

let sink: HttpSink

beforeEach(async () => {
  sink = await startHttpSink()
})
afterEach(() => sink.close())

function open(allowPrivate = ['127.0.0.0/8']): Revoker {
  const [type] = REVOKER_TYPES.filter((known) => known.type === 'webhook')
  if (type === undefined) throw new Error('no webhook revoker')
  return type.open(
    type.schema.parse({ type: 'webhook', url: `${sink.url}/very-secret-token`, secret: SECRET }),
    {
      fetch: outboundFetch({ allowPrivate, timeoutMs: 2_000 }),
      nowMs: () => systemClock.nowMs(),
    },
  )
}

describe('the webhook that revokes', () => {
  test.each([
    ['disable', 'key.revoke'],
    ['restore', 'key.restore'],
  ] as const)('to %s posts a signed %s under the id of the request', async (act, type) => {
    sink.answerNext({ status: 202, body: 'done' })
    expect(await open()[act](CALL, AbortSignal.timeout(10_000))).toEqual({ receipt: 'answered 202: done' })
    const [request] = sink.requests
    expect(request?.headers['webhook-id']).toBe(CALL.requestId)
    const receiver = new Webhook(Buffer.from(SECRET), { format: 'raw' })
    expect(receiver.verify(request?.body ?? '', request?.headers as Record<string, string>)).toEqual({
      type,
      timestamp: '2026-03-02T03:00:00.000Z',
      data: {
        alert: alertToJson(alertOf()),
        key: { key_id: 'key-1' },
        reason: 'critical alert of volume_spike',
      },
    })
  })

  test('says null where no alert led to it', async () => {
    await open().disable({ ...CALL, alert: undefined }, AbortSignal.timeout(10_000))
    expect(JSON.parse(sink.requests[0]?.body ?? '')).toMatchObject({ data: { alert: null } })
  })

  test.each([
    ['500', { status: 500 }, true, undefined],
    ['503 with Retry-After', { status: 503, headers: { 'retry-after': '7' } }, true, 7_000],
    ['429', { status: 429 }, true, undefined],
    ['a cut connection', { reset: true }, true, undefined],
    ['silence', { delayMs: 5_000 }, true, undefined],
    ['404', { status: 404, body: 'nothing at /very-secret-token' }, false, undefined],
    ['401', { status: 401 }, false, undefined],
    ['410', { status: 410 }, false, undefined],
    ['a redirect', { status: 301, headers: { location: 'http://elsewhere.example/' } }, false, undefined],
  ])(
    'after %s is tried again or not, without a secret in the error',
    async (_name, answer, retryable, retryAfterMs) => {
      sink.answerNext(answer)
      const error = await failureOf(open().disable(CALL, AbortSignal.timeout(10_000)))
      expect({ retryable: error.retryable, retryAfterMs: error.retryAfterMs }).toEqual({
        retryable,
        retryAfterMs,
      })
      for (const secret of [SECRET, 'very-secret-token'])
        expect(everythingShownOf(error)).not.toContain(secret)
    },
  )

  test('does not reach into the network unless allowed', async () => {
    const error = await failureOf(open([]).disable(CALL, AbortSignal.timeout(10_000)))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
  })
})

async function failureOf(calling: Promise<unknown>): Promise<RevokerError> {
  const error: unknown = await calling.then(
    () => new Error('it was done'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof RevokerError)) throw error
  return error
}
