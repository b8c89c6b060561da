import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { MAX_BODY_BYTES, webhookBody } from '../../src/notify/channels/webhook-body.ts'
import { webhookChannel } from '../../src/notify/channels/webhook.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import fc from '../harness/fast-check.ts'
import { startHttpSink, type HttpSink, type RecordedRequest } from '../harness/http-sink.ts'
import { channelContract, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { HTTP_FAILURES } from './http-failures.ts'
import { INJECTIONS, notificationOf, poisonedWith, RESPONSE_OF } from './notifications.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const PATH = '/in/very-secret-token'

interface WebhookRig extends Rig {
  readonly sink: HttpSink
}

async function start(): Promise<WebhookRig> {
  const sink = await startHttpSink()
  return {
    sink,
    channel: openChannel(webhookChannel, { url: `${sink.url}${PATH}`, secret: SECRET }),
    received: () =>
      sink.requests.map((request) => ({ text: request.body, id: String(request.headers['webhook-id']) })),
    close: () => sink.close(),
  }
}

channelContract('webhook', {
  start,
  secrets: () => [SECRET, SECRET.slice('whsec_'.length), 'very-secret-token'],
  checkHarmless: ({ sink }) => {
    // JSON leaves text as it is: no message reads it as anything else, and the signature vouches for it.
    const request = sink.requests[0]
    expect(request && verified(request, new Webhook(SECRET))).toBeDefined()
    expect(Buffer.byteLength(request?.body ?? '')).toBeLessThan(MAX_BODY_BYTES)
    expect(request?.body).not.toMatch(/\p{Cc}/u)
  },
  failures: [
    ...HTTP_FAILURES,
    {
      name: 'waits as long as asked after 429, in seconds',
      provoke: ({ sink }) => sink.answerNext({ status: 429, headers: { 'retry-after': '30' } }),
      retryable: true,
      retryAfterMs: 30_000,
      says: 'answered 429',
    },
    {
      name: 'waits until the date asked for after 503',
      provoke: ({ sink }) =>
        sink.answerNext({ status: 503, headers: { 'retry-after': 'Mon, 02 Mar 2015 03:00:00 GMT' } }),
      retryable: true,
      retryAfterMs: 0,
      says: 'answered 503',
    },
    ...[500, 502, 504, 408, 425].map((status) => ({
      name: `tries again after ${status}`,
      provoke: ({ sink }: WebhookRig) => sink.answerNext({ status, body: 'later' }),
      retryable: true,
      says: `answered ${status}: later`,
    })),
    ...[400, 401, 403, 404, 410, 413, 422].map((status) => ({
      name: `gives up after ${status}`,
      provoke: ({ sink }: WebhookRig) => sink.answerNext({ status, body: 'never' }),
      retryable: false,
      ...([400, 413, 422].includes(status) ? { blame: 'message' as const } : {}),
      says: `answered ${status}: never`,
    })),
    {
      name: 'does not repeat our address when the other side quotes it',
      provoke: ({ sink }) => sink.answerNext({ status: 404, body: `no route for ${PATH}` }),
      retryable: false,
      says: 'no route for /in/[secret]',
    },
  ],
})

describe('the webhook channel', () => {
  test('signs as Standard Webhooks has it, with the id of the delivery', async () => {
    const rig = await start()
    await rig.channel.send(notificationOf(), AbortSignal.timeout(10_000))
    const [request] = rig.sink.requests
    expect(request?.headers['webhook-id']).toBe(notificationOf().id)
    expect(request && verified(request, new Webhook(SECRET))).toMatchObject({ type: 'alert.opened' })
    expect(() => request && verified({ ...request, body: `${request.body} ` }, new Webhook(SECRET))).toThrow()
    await rig.close()
  })

  test('signs with the bytes of a plain text secret', async () => {
    const sink = await startHttpSink()
    const secret = 'ein langer geheimer Schlüssel'
    await openChannel(webhookChannel, { url: sink.url, secret }).send(
      notificationOf(),
      AbortSignal.timeout(10_000),
    )
    const [request] = sink.requests
    const receiver = new Webhook(Buffer.from(secret, 'utf8'), { format: 'raw' })
    expect(request && verified(request, receiver)).toMatchObject({ type: 'alert.opened' })
    await sink.close()
  })

  test('does not reach into the network unless allowed', async () => {
    const sink = await startHttpSink()
    const tools = { fetch: outboundFetch({ allowPrivate: ['10.0.0.0/8'] }) }
    const channel = openChannel(webhookChannel, { url: sink.url, secret: SECRET }, tools)
    const error = await failureOf(channel.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    await sink.close()
  })

  test.each(['whsec_', 'whsec_!!!not base64 at all but long enough!!!', ''])(
    'does not take "%s" for a secret, and does not quote it',
    (secret) => {
      const { error } = webhookChannel.schema.safeParse({ type: 'webhook', url: 'https://a.example', secret })
      expect(error?.issues.map(({ path }) => path.join('.'))).toEqual(['secret'])
      expect(error?.issues[0]?.message).toBe('expected whsec_ and base64, or a text')
    },
  )
})

describe('the body of a webhook', () => {
  const bodyOf = (...given: Parameters<typeof notificationOf>): unknown =>
    JSON.parse(webhookBody(notificationOf(...given)))

  test('is the envelope of the interfaces', () => {
    expect(bodyOf({ at: new Date('2026-03-02T03:00:05Z'), response: { kind: 'would_revoke' } })).toEqual({
      type: 'alert.opened',
      timestamp: '2026-03-02T03:00:05.000Z',
      data: {
        alert: {
          id: '0197f000-0000-7000-8000-000000000001',
          detector: 'volume_spike',
          key_id: 'key-1',
          severity: 'critical',
          status: 'firing',
          opened_at: '2026-03-02T03:00:00.000Z',
          last_seen_at: '2026-03-02T03:00:00.000Z',
          resolved_at: null,
          occurrences: 1,
          summary: 'key-1 made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00',
          evidence: notificationOf().lead.evidence,
          links: {},
        },
        alerts: [],
        key: { key_id: 'key-1', team_id: 'payments', environment: 'prod' },
        response: { state: 'would_revoke' },
        action: { mode: 'dry_run' },
        traffic: {
          since: '2026-03-02T02:50:00.000Z',
          requests: 1_234,
          cost_usd: 184.2,
          cost_usd_per_hour: 262,
          top_address: { value: '203.0.113.7', share: 0.981 },
          top_country: { value: 'ID', share: 0.97 },
          top_model: { value: 'gpt-5', share: 0.5 },
        },
      },
    })
  })

  test('writes what is unknown as null', () => {
    const traffic = {
      ...notificationOf().traffic,
      costNanoUsd: undefined,
      costNanoUsdPerHour: undefined,
      topModel: undefined,
    }
    const key = { keyId: 'key-1', teamId: undefined, environment: undefined }
    expect(bodyOf({ traffic, key })).toMatchObject({
      data: {
        key: { team_id: null, environment: null },
        traffic: { cost_usd: null, cost_usd_per_hour: null, top_model: null },
      },
    })
  })

  test.each(Object.entries(RESPONSE_OF))(
    'complaint 9: tells of %s what became of the key, and whether it is real',
    (_type, response) => {
      const mode = { none: 'none', would_revoke: 'dry_run' }[response.kind as string] ?? 'live'
      expect(bodyOf({ response })).toMatchObject({
        data: { response: { state: response.kind }, action: { mode } },
      })
    },
  )

  test('tells how long after the first abusive request the key was stopped; what is not known is null', () => {
    const at = (time: string) => new Date(`2026-03-02T${time}Z`)
    const containment = {
      firstAbuseAt: at('03:00:00'),
      alertAt: at('03:00:14'),
      revokedAt: at('03:00:16'),
      confirmedAt: undefined,
    }
    const response = { kind: 'revoked', revocationId: 'r-1', at: at('03:00:16'), containment } as const
    expect(bodyOf({ response })).toMatchObject({
      data: { response: { seconds_after_first_abuse: { alert: 14, revoked: 16, confirmed: null } } },
    })
  })

  test('leaves out evidence, then alerts, when it would be too long, and says so', () => {
    const lead = poisonedWith('x'.repeat(3_000)).lead
    const long = { ...lead, keyId: 'key-1' }
    const some = bodyOf({ lead: long, others: [] })
    expect(some).toMatchObject({ data: { trimmed: true, alert: { evidence: { metric: 'model' } } } })
    const many = bodyOf({ others: Array.from({ length: 200 }, () => notificationOf().lead) }) as {
      data: { alerts: unknown[] }
    }
    expect(many).toMatchObject({ data: { trimmed: true } })
    expect(many.data.alerts).toHaveLength(5)
  })

  test('stays under 20 kB whatever is in it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 5_000 }), fc.constantFrom(...INJECTIONS))
    fc.assert(
      fc.property(text, (chosen) => {
        const { lead, ...rest } = poisonedWith(chosen)
        const keyId = Array.from(chosen).slice(0, 256).join('')
        const body = webhookBody({ ...rest, lead: { ...lead, keyId }, key: { ...rest.key, keyId } })
        expect(Buffer.byteLength(body)).toBeLessThan(MAX_BODY_BYTES)
        expect((JSON.parse(body) as { data: { key: { key_id: string } } }).data.key.key_id).toBe(keyId)
      }),
      { numRuns: 60 },
    )
  })
})

function verified({ body, headers }: RecordedRequest, receiver: Webhook): unknown {
  return receiver.verify(body, headers as Record<string, string>)
}
