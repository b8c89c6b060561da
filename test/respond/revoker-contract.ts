import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { alertToJson } from '../../src/alert/alert.ts'
import { systemClock } from '../../src/clock.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { REVOKER_TYPES } from '../../src/respond/registry.ts'
import { RevokerError, type Capabilities, type Revoker, type RevokerCall } from '../../src/respond/revoker.ts'
import { alertOf } from '../alert/alerts.ts'
import { startHttpSink, type HttpSink, type RecordedRequest, type SinkAnswer } from '../harness/http-sink.ts'
import { everythingShownOf } from '../notify/channel-contract.ts'

const REQUEST_ID = '0197f000-0000-7000-8000-00000000e001'

/** A call as the daemon makes it; name only what the test is about. */
export function callOf(overrides: Partial<RevokerCall> = {}): RevokerCall {
  return {
    requestId: REQUEST_ID,
    keyId: 'key-1',
    reason: 'critical alert of volume_spike',
    at: new Date('2026-03-02T03:00:00Z'),
    alert: alertToJson(alertOf()),
    isRepeat: false,
    memo: undefined,
    metadata: () => Promise.resolve(undefined),
    ...overrides,
  }
}

/** A revoker of the registry, opened as the daemon opens it. */
export function openRevoker(settings: Record<string, unknown>, allowPrivate = ['127.0.0.0/8']): Revoker {
  const type = REVOKER_TYPES.find((known) => known.type === settings['type'])
  if (type === undefined) throw new Error(`no revoker ${String(settings['type'])}`)
  return type.open(type.schema.parse(settings), {
    fetch: outboundFetch({ allowPrivate, timeoutMs: 500 }),
    nowMs: () => systemClock.nowMs(),
    queue: () => {
      throw new Error('no queue is expected here')
    },
  })
}

export const inTime = (): AbortSignal => AbortSignal.timeout(10_000)

/** What one call ended with: the receipt, or the error. */
export async function failureOf(calling: Promise<unknown>): Promise<RevokerError> {
  const error: unknown = await calling.then(
    () => new Error('it was done'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof RevokerError)) throw error
  return error
}

export interface HttpRevokerCase {
  readonly settings: (url: string) => Record<string, unknown>
  readonly call: Partial<RevokerCall>
  readonly capabilities: Capabilities
  readonly means: Revoker['means']
  /** What the other side answers when it does what it is asked. */
  readonly answers: (request: RecordedRequest) => SinkAnswer
  /** Texts of the configuration that no error and no receipt may show. */
  readonly secrets: readonly string[]
}

/** What every revoker over HTTP promises. Each one's test calls it and adds its own traps. */
export function revokerContract(name: string, given: HttpRevokerCase): void {
  const acts = given.capabilities.restore ? (['revoke', 'restore'] as const) : (['revoke'] as const)
  const call = callOf(given.call)

  describe(`every revoker: ${name}`, () => {
    let sink: HttpSink
    let revoker: Revoker
    beforeEach(async () => {
      sink = await startHttpSink()
      sink.answerAlways(given.answers)
      revoker = openRevoker(given.settings(sink.url))
    })
    afterEach(() => sink.close())

    test('says what it can do', () => {
      expect([revoker.capabilities, revoker.means]).toEqual([given.capabilities, given.means])
    })

    test.each(acts)('that is asked to %s twice asks the same twice and succeeds twice', async (act) => {
      await revoker[act](call, inTime())
      const half = sink.requests.length
      await revoker[act]({ ...call, isRepeat: true }, inTime())
      const asked = sink.requests.map(({ method, path, body }) => `${method} ${path} ${body}`)
      expect(half).toBeGreaterThan(0)
      expect(asked.slice(half)).toEqual(asked.slice(0, half))
    })

    test('shows no secret in what it reports', async () => {
      const { receipt } = await revoker.revoke(call, inTime())
      expect(receipt).not.toBe('')
      for (const secret of given.secrets) expect(receipt).not.toContain(secret)
    })

    test.each<[string, SinkAnswer, boolean, number | undefined]>([
      ['500', { status: 500 }, true, undefined],
      ['503 with Retry-After', { status: 503, headers: { 'retry-after': '7' } }, true, 7_000],
      ['429', { status: 429, headers: { 'retry-after': '30' } }, true, 30_000],
      ['408', { status: 408 }, true, undefined],
      ['a cut connection', { reset: true }, true, undefined],
      ['silence', { delayMs: 2_000 }, true, undefined],
      ['400', { status: 400 }, false, undefined],
      ['401', { status: 401 }, false, undefined],
      ['403', { status: 403 }, false, undefined],
      ['a redirect', { status: 301, headers: { location: 'http://127.0.0.1:9/' } }, false, undefined],
    ])(
      'after %s is tried again or not, without a secret in the error',
      async (_name, answer, retryable, retryAfterMs) => {
        // Servers like to quote what they were sent.
        sink.answerAlways((request) => ({
          ...answer,
          body: `cannot ${request.path} ${JSON.stringify(request.headers)} ${request.body}`,
        }))
        for (const act of acts) {
          const error = await failureOf(revoker[act](call, inTime()))
          expect({ retryable: error.retryable, retryAfterMs: error.retryAfterMs }).toEqual({
            retryable,
            retryAfterMs,
          })
          for (const secret of given.secrets) expect(everythingShownOf(error)).not.toContain(secret)
        }
      },
    )

    test('follows no redirect', async () => {
      const elsewhere = await startHttpSink()
      sink.answerAlways({ status: 307, headers: { location: elsewhere.url } })
      await failureOf(revoker.revoke(call, inTime()))
      expect(elsewhere.requests).toEqual([])
      await elsewhere.close()
    })

    test('does not reach into the network unless allowed', async () => {
      const error = await failureOf(openRevoker(given.settings(sink.url), []).revoke(call, inTime()))
      expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    })

    test('ends when it is told to', async () => {
      sink.answerAlways({ delayMs: 2_000 })
      const error = await failureOf(revoker.revoke(call, AbortSignal.timeout(100)))
      expect(error.retryable).toBe(true)
    })
  })
}
