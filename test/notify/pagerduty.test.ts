import { describe, expect, test } from 'vitest'
import type { Notification, NotificationType } from '../../src/alert/notification.ts'
import { pagerDutyEvent } from '../../src/notify/channels/pagerduty-event.ts'
import { pagerDutyChannel } from '../../src/notify/channels/pagerduty.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { alertOf } from '../alert/alerts.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { channelContract, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { HTTP_FAILURES } from './http-failures.ts'
import { noticeOf, notificationOf, RESPONSE_OF } from './notifications.ts'

const KEY = 'R0123456789abcdefghijklmnopqrstu'
const TAKEN = { status: 202, body: '{"status":"success","message":"Event processed","dedup_key":"x"}' }

interface PagerDutyRig extends Rig {
  readonly sink: HttpSink
}

async function start(): Promise<PagerDutyRig> {
  const sink = await startHttpSink()
  sink.answerAlways(TAKEN)
  return {
    sink,
    channel: openChannel(pagerDutyChannel, { routing_key: KEY, url: `${sink.url}/v2/enqueue` }),
    received: () =>
      sink.requests.map(({ body }) => {
        const { event_action: action, dedup_key: dedup } = JSON.parse(body) as Record<string, string>
        return { text: body, id: `${action} ${dedup}` }
      }),
    close: () => sink.close(),
  }
}

channelContract('pagerduty', {
  start,
  secrets: () => [KEY],
  bare: ['alert.resolved', 'alert.acknowledged', 'keyhound.recovered'],
  checkHarmless: ({ sink }) => {
    const body = sink.requests[0]?.body ?? ''
    const {
      payload,
      dedup_key: dedup,
      links = [],
    } = JSON.parse(body) as {
      payload: { summary: string; source: string; custom_details: Record<string, unknown> }
      dedup_key: string
      links?: unknown[]
    }
    expect(Buffer.byteLength(body)).toBeLessThan(512 * 1_024)
    expect(payload.summary.length).toBeLessThanOrEqual(1_024)
    expect(dedup.length).toBeLessThanOrEqual(255)
    expect(body).not.toMatch(/\p{Cc}|\\u00[01]|\u202E|\u200B/u)
    // Text is text to PagerDuty; a link is only what stands under `links`.
    expect(links).toEqual([])
  },
  failures: [
    ...HTTP_FAILURES,
    {
      name: 'gives up on an event that is refused, and blames the message',
      provoke: ({ sink }) =>
        sink.answerNext({ status: 400, body: '{"status":"invalid event","errors":["Length of summary"]}' }),
      retryable: false,
      blame: 'message',
      says: 'invalid event',
    },
    {
      name: 'gives up on a routing key that is none, and says so',
      provoke: ({ sink }) =>
        sink.answerNext({ status: 400, body: `{"errors":["Invalid routing key ${KEY}"]}` }),
      retryable: false,
      says: 'the routing key is not one',
    },
    {
      name: 'gives up when the address is wrong',
      provoke: ({ sink }) => sink.answerNext({ status: 404, body: `nothing at ${KEY}` }),
      retryable: false,
      says: 'nothing at [secret]',
    },
    {
      name: 'waits as long as asked after 429',
      provoke: ({ sink }) => sink.answerNext({ status: 429, headers: { 'retry-after': '30' } }),
      retryable: true,
      retryAfterMs: 30_000,
      says: '429',
    },
    {
      name: 'waits a few minutes after 429 without a time',
      provoke: ({ sink }) => sink.answerNext({ status: 429 }),
      retryable: true,
      retryAfterMs: 120_000,
      says: '429',
    },
    ...[500, 502, 503].map((status) => ({
      name: `tries again after ${status}`,
      provoke: ({ sink }: PagerDutyRig) => sink.answerNext({ status, body: 'later' }),
      retryable: true,
      says: `answered ${status}`,
    })),
  ],
})

describe('the pagerduty channel', () => {
  test('complaint 2: opens one PagerDuty alert for one incident, whoever sends how often, and resolves that one', async () => {
    const rig = await start()
    const lead = alertOf({ severity: 'critical' })
    const messages: Partial<Notification>[] = [
      { type: 'alert.opened', lead },
      // Another alert of the incident has become the worst, and another replica sends.
      { type: 'alert.repeated', lead: { ...lead, id: '0197f000-0000-7000-8000-000000000002' } },
      { type: 'alert.acknowledged', lead: { ...lead, status: 'acknowledged' } },
      { type: 'alert.resolved', lead: { ...lead, status: 'resolved', resolvedAt: lead.openedAt } },
    ]
    for (const [index, message] of messages.entries()) {
      await rig.channel.send(
        notificationOf({ id: `delivery-${index}`, ...message }),
        AbortSignal.timeout(10_000),
      )
    }
    const events = rig.sink.requests.map(({ body }) => JSON.parse(body) as Record<string, string>)
    expect(events.map(({ event_action: action }) => action)).toEqual([
      'trigger',
      'trigger',
      'acknowledge',
      'resolve',
    ])
    expect(new Set(events.map(({ dedup_key: dedup }) => dedup))).toEqual(new Set([lead.incidentId]))
    expect(new Set(events.map(({ routing_key: key }) => key))).toEqual(new Set([KEY]))
    await rig.close()
  })

  test.each([
    ['key.revoked', 'firing', 'trigger'],
    ['key.revoked', 'resolved', 'resolve'],
    ['key.restored', 'resolved', 'resolve'],
    ['key.revocation_failed', 'resolved', 'trigger'],
  ] as const)('tells %s of a %s incident as %s: nothing opens anew what is over', (type, status, action) => {
    const lead = alertOf({ status, resolvedAt: status === 'resolved' ? new Date() : undefined })
    expect(eventOf(type, { lead }).event_action).toBe(action)
  })

  test('gives the key, the severity and the detector as PagerDuty sorts by them, and the links', () => {
    const event = pagerDutyEvent(notificationOf({ response: { kind: 'would_revoke' } }), {
      alert: 'https://keyhound.example/api/v1/alerts/1',
      acknowledge: 'https://keyhound.example/act/x',
    })
    expect(event).toMatchObject({
      payload: {
        summary: expect.stringContaining(
          '[CRITICAL] [DRY RUN] would revoke key key-1: made 352 requests',
        ) as string,
        source: 'key-1',
        severity: 'critical',
        timestamp: '2026-03-02T03:00:05.000Z',
        component: 'payments',
        group: 'prod',
        class: 'volume_spike',
      },
      links: [{ href: 'https://keyhound.example/act/x', text: 'Acknowledge' }],
    })
  })

  test('closes what it opened about itself', async () => {
    const rig = await start()
    for (const type of ['keyhound.problem', 'keyhound.recovered'] as const)
      await rig.channel.tell(noticeOf({ type }), AbortSignal.timeout(10_000))
    expect(rig.received().map(({ id }) => id)).toEqual([
      'trigger keyhound:channel:oncall',
      'resolve keyhound:channel:oncall',
    ])
    await rig.close()
  })

  test('does not reach into the network unless allowed', async () => {
    const sink = await startHttpSink()
    const tools = { fetch: outboundFetch({ allowPrivate: [] }) }
    const channel = openChannel(pagerDutyChannel, { routing_key: KEY, url: sink.url }, tools)
    const error = await failureOf(channel.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    await sink.close()
  })

  test.each([[''], ['short'], [`${KEY}x`], ['R012345678 abcdefghijklmnopqrstu']])(
    'does not take "%s" for a routing key, and does not quote it',
    (key) => {
      const { error } = pagerDutyChannel.schema.safeParse({ type: 'pagerduty', routing_key: key })
      expect(error?.issues.map(({ message }) => message)).toEqual([
        'expected the 32 letters and digits of an Events API v2 integration key',
      ])
    },
  )
})

function eventOf(type: NotificationType, given: Partial<Notification>) {
  return pagerDutyEvent(notificationOf({ type, response: RESPONSE_OF[type], ...given }))
}
