import { describe, expect, test } from 'vitest'
import { slackChannel } from '../../src/notify/channels/slack.ts'
import { judgeSlackApiAnswer } from '../../src/notify/channels/slack-api-answer.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { alertOf } from '../alert/alerts.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { channelContract, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { HTTP_FAILURES } from './http-failures.ts'
import { manyIncidents, noticeOf, notificationOf, RESPONSE_OF } from './notifications.ts'

const TOKEN = 'xoxb-1234567890-abcdefghijklmnop'
const CHANNEL = 'C0123456789'

interface BotRig extends Rig {
  readonly sink: HttpSink
  /** Method and body of each call. */
  calls(): { method: string; body: Record<string, unknown> }[]
}

/** Slack's Web API: gives each message a `ts`, and tells it again when the message is changed. */
async function start(): Promise<BotRig> {
  const sink = await startHttpSink()
  let posted = 0
  sink.answerAlways(({ path, body }) => {
    const { ts } = JSON.parse(body) as { ts?: string }
    posted += 1
    const given = path.endsWith('chat.update') ? ts : `1712345678.${String(posted).padStart(6, '0')}`
    return { body: JSON.stringify({ ok: true, channel: CHANNEL, ts: given }) }
  })
  const calls = (): { method: string; body: Record<string, unknown> }[] =>
    sink.requests.map(({ path, body }) => ({
      method: path.split('/').at(-1) ?? '',
      body: JSON.parse(body) as Record<string, unknown>,
    }))
  return {
    sink,
    calls,
    channel: openChannel(slackChannel, { token: TOKEN, channel: '#oncall', api_url: `${sink.url}/api` }),
    received: () => calls().map(({ body }) => ({ text: unescaped(textsIn(body).join('\n')), id: undefined })),
    close: () => sink.close(),
  }
}

function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === 'text' && typeof inner === 'string' ? [inner] : textsIn(inner),
  )
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
}

channelContract<BotRig>('slack bot', {
  start,
  secrets: () => [TOKEN],
  checkHarmless: (rig) => {
    const [call] = rig.calls()
    expect(JSON.stringify(call)).not.toContain('mrkdwn')
    for (const text of textsIn(call?.body)) expect(text).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/)
    expect(rig.sink.requests[0]?.body.length).toBeLessThan(10_000)
  },
  failures: [
    ...HTTP_FAILURES,
    {
      name: 'waits as long as Slack asks after 429',
      provoke: ({ sink }) =>
        sink.answerNext({
          status: 429,
          headers: { 'retry-after': '30' },
          body: '{"ok":false,"error":"ratelimited"}',
        }),
      retryable: true,
      retryAfterMs: 30_000,
      says: 'ratelimited',
    },
    ...(
      [
        ['invalid_auth', 'new bot token'],
        ['token_revoked', 'new bot token'],
        ['missing_scope', 'chat:write'],
        ['not_in_channel', 'invite the bot'],
        ['channel_not_found', 'invite the bot'],
        ['is_archived', 'unarchive it'],
        ['restricted_action', 'administrator'],
      ] as const
    ).map(([error, says]) => ({
      name: `complaint 18: gives up on ${error}, and says what to do`,
      provoke: ({ sink }: BotRig) => sink.answerNext({ body: JSON.stringify({ ok: false, error }) }),
      retryable: false,
      says,
    })),
    {
      name: 'gives up when Slack refuses the plain text as well, and blames the message',
      provoke: ({ sink }) =>
        sink.answerNext(
          { body: '{"ok":false,"error":"invalid_blocks"}' },
          { body: '{"ok":false,"error":"msg_too_long"}' },
        ),
      retryable: false,
      blame: 'message',
      says: 'then to plain text',
    },
    {
      name: 'tries again after an error of Slack',
      provoke: ({ sink }) => sink.answerNext({ body: '{"ok":false,"error":"internal_error"}' }),
      retryable: true,
      says: 'internal_error',
    },
    {
      name: 'tries again after 503',
      provoke: ({ sink }) => sink.answerNext({ status: 503 }),
      retryable: true,
      says: '503',
    },
    {
      name: 'does not take 200 without ok for success',
      provoke: ({ sink }) => sink.answerNext({ status: 200, body: '<html>sign in</html>' }),
      retryable: true,
      says: 'answered 200',
    },
    {
      name: 'does not repeat our token when the other side quotes it',
      provoke: ({ sink }) => sink.answerNext({ status: 404, body: `who is ${TOKEN}` }),
      retryable: false,
      says: 'who is [secret]',
    },
  ],
})

describe('the slack bot', () => {
  test('complaint 19: one incident is one message, changed in place, with its history in the thread', async () => {
    const rig = await start()
    const signal = AbortSignal.timeout(10_000)
    const lead = alertOf({ severity: 'critical' })
    const { ref, receipt } = await rig.channel.send(notificationOf({ lead }), signal)
    expect([ref, receipt]).toEqual([
      'C0123456789:1712345678.000001',
      'answered 200: ok, message 1712345678.000001',
    ])
    const resolved = { ...lead, status: 'resolved' as const, resolvedAt: new Date('2026-03-02T03:41:00Z') }
    const next = await rig.channel.send(
      notificationOf({ type: 'alert.resolved', lead: resolved }),
      signal,
      ref,
    )
    expect(next.ref).toBe(ref)
    const [opened, changed, line, ...more] = rig.calls()
    expect(more).toEqual([])
    expect(opened).toMatchObject({ method: 'chat.postMessage', body: { channel: '#oncall' } })
    expect(changed).toMatchObject({
      method: 'chat.update',
      body: {
        channel: CHANNEL,
        ts: '1712345678.000001',
        text: expect.stringContaining('[RESOLVED]') as string,
      },
    })
    expect(line).toMatchObject({
      method: 'chat.postMessage',
      body: {
        channel: CHANNEL,
        thread_ts: '1712345678.000001',
        text: expect.stringContaining('lasted 41 min, $184.20 so far') as string,
      },
    })
    // An end wakes nobody.
    expect(line?.body).not.toHaveProperty('reply_broadcast')
    expect(rig.sink.requests.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true)
    await rig.close()
  })

  test('what somebody must notice also goes to the channel: a change alone makes no sound', async () => {
    const rig = await start()
    const types = ['alert.opened', 'alert.repeated', 'key.revocation_failed', 'alert.acknowledged'] as const
    for (const type of types) {
      const message = notificationOf({ type, response: RESPONSE_OF[type] })
      await rig.channel.send(message, AbortSignal.timeout(10_000), `${CHANNEL}:1712345678.000009`)
    }
    const lines = rig.calls().filter(({ method }) => method === 'chat.postMessage')
    expect(lines.map(({ body }) => body['reply_broadcast'] === true)).toEqual([true, true, true, false])
    await rig.close()
  })

  test('posts anew when the message that it should change was deleted', async () => {
    const rig = await start()
    rig.sink.answerNext({ body: '{"ok":false,"error":"message_not_found"}' })
    const { ref } = await rig.channel.send(
      notificationOf({ type: 'alert.repeated' }),
      AbortSignal.timeout(10_000),
      `${CHANNEL}:1700000000.000001`,
    )
    expect(rig.calls().map(({ method }) => method)).toEqual(['chat.update', 'chat.postMessage'])
    expect(ref).toBe(`${CHANNEL}:1712345678.000001`)
    await rig.close()
  })

  test('never changes a message that tells many incidents: what follows stands in its thread', async () => {
    const rig = await start()
    const signal = AbortSignal.timeout(10_000)
    const [first, ...rest] = manyIncidents(12)
    if (first === undefined) throw new Error('no incidents')
    const { ref } = (await rig.channel.sendTogether?.([first, ...rest], signal)) ?? {}
    expect(ref).toBe(`${CHANNEL}:1712345678.000001:shared`)
    const next = await rig.channel.send({ ...first, type: 'alert.resolved' }, signal, ref)
    expect(rig.calls().map(({ method }) => method)).toEqual(['chat.postMessage', 'chat.postMessage'])
    expect(rig.calls()[1]?.body).toMatchObject({ thread_ts: '1712345678.000001' })
    expect(next.ref).toBe(ref)
    await rig.close()
  })

  test('what it says about itself leaves no message behind that an incident could change', async () => {
    const rig = await start()
    expect(await rig.channel.tell(noticeOf(), AbortSignal.timeout(10_000))).not.toHaveProperty('ref')
    await rig.close()
  })

  test('complaint 17: leaves a second between two messages', async () => {
    const rig = await start()
    expect(rig.channel.minIntervalMs).toBe(1_000)
    await rig.close()
  })

  test('does not reach into the network unless allowed', async () => {
    const sink = await startHttpSink()
    const settings = { token: TOKEN, channel: CHANNEL, api_url: sink.url }
    const channel = openChannel(slackChannel, settings, { fetch: outboundFetch({ allowPrivate: [] }) })
    const error = await failureOf(channel.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    await sink.close()
  })

  test.each([
    [{}, 'url'],
    [{ token: TOKEN }, 'channel'],
    [{ token: TOKEN, channel: CHANNEL, url: 'https://hooks.slack.com/services/x' }, 'token'],
    [{ url: 'https://hooks.slack.com/services/x', channel: CHANNEL }, 'channel'],
    [{ token: 'xoxp-1234', channel: CHANNEL }, 'token'],
    [{ token: TOKEN, channel: 'oncall channel' }, 'channel'],
  ])('does not take %j for a configuration, and does not quote the token', (settings, path) => {
    const { error } = slackChannel.schema.safeParse({ type: 'slack', ...settings })
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
    expect(JSON.stringify(error?.issues)).not.toMatch(/xox[bp]-1/)
  })

  test('an error that it does not know may get better', () => {
    const text = '{"ok":false,"error":"something_new"}'
    expect(judgeSlackApiAnswer({ status: 200, text, retryAfterMs: undefined })).toEqual({
      kind: 'refused',
      retryable: true,
    })
  })
})
