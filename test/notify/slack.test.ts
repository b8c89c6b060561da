import { describe, expect, test } from 'vitest'
import { messageOf } from '../../src/alert/message.ts'
import { judgeSlackAnswer } from '../../src/notify/channels/slack-answer.ts'
import { escaped, slackBlocks, slackFallback } from '../../src/notify/channels/slack-payload.ts'
import { slackChannel } from '../../src/notify/channels/slack.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import fc from '../harness/fast-check.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { channelContract, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { HTTP_FAILURES } from './http-failures.ts'
import { INJECTIONS, notificationOf, poisonedWith } from './notifications.ts'

const PATH = '/services/T00000001/B00000002/abcdefghijklmnopqrstuvwx'
const OK = { body: 'ok' }

interface SlackRig extends Rig {
  readonly sink: HttpSink
}

async function start(): Promise<SlackRig> {
  const sink = await startHttpSink()
  sink.answerAlways(OK)
  return {
    sink,
    channel: openChannel(slackChannel, { url: `${sink.url}${PATH}` }),
    received: () =>
      sink.requests.map(({ body }) => ({ text: unescaped(textsIn(body).join('\n')), id: undefined })),
    close: () => sink.close(),
  }
}

channelContract('slack', {
  start,
  secrets: () => [PATH, 'T00000001', 'B00000002', 'abcdefghijklmnopqrstuvwx'],
  checkHarmless: ({ sink }) => {
    const payload = JSON.parse(sink.requests[0]?.body ?? '') as { blocks: Record<string, unknown>[] }
    // Attackers' text stands in plain_text only, and top-level text has nothing that Slack would read as mention or link.
    expect(JSON.stringify(payload)).not.toContain('mrkdwn')
    for (const text of textsIn(sink.requests[0]?.body ?? ''))
      expect(text).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/)
    expect(sink.requests[0]?.body.length).toBeLessThan(10_000)
  },
  failures: [
    ...HTTP_FAILURES,
    {
      name: 'waits as long as Slack asks after 429',
      provoke: ({ sink }) =>
        sink.answerNext({ status: 429, headers: { 'retry-after': '30' }, body: 'rate_limited' }),
      retryable: true,
      retryAfterMs: 30_000,
      says: 'Slack answered 429',
    },
    {
      name: 'waits as long as Slack asks in the body of a 429',
      provoke: ({ sink }) =>
        sink.answerNext({ status: 429, body: '{"retry_after":7,"ok":false,"error":"rate_limited"}' }),
      retryable: true,
      retryAfterMs: 7_000,
      says: '429',
    },
    {
      name: 'tries again after 500',
      provoke: ({ sink }) => sink.answerNext({ status: 500, body: 'rollup_error' }),
      retryable: true,
      says: 'rollup_error',
    },
    {
      name: 'gives up on an archived channel and says what to do',
      provoke: ({ sink }) => sink.answerNext({ status: 410, body: 'channel_is_archived' }),
      retryable: false,
      says: 'unarchive it',
    },
    {
      name: 'gives up on a webhook that was removed',
      provoke: ({ sink }) => sink.answerNext({ status: 404, body: 'no_service' }),
      retryable: false,
      says: 'make a new one in Slack',
    },
    {
      name: 'does not take 200 without ok for success',
      provoke: ({ sink }) => sink.answerNext({ status: 200, body: '<html>sign in</html>' }),
      retryable: true,
      says: 'expected the answer ok',
    },
    {
      name: 'gives up when Slack refuses the plain text as well',
      provoke: ({ sink }) =>
        sink.answerNext({ status: 400, body: 'invalid_blocks' }, { status: 400, body: 'invalid_payload' }),
      retryable: false,
      blame: 'message',
      says: 'then to plain text answered 400: invalid_payload',
    },
    {
      name: 'does not repeat our address when the other side quotes it',
      provoke: ({ sink }) => sink.answerNext({ status: 404, body: `Cannot POST ${PATH}` }),
      retryable: false,
      says: 'Cannot POST',
    },
  ],
})

describe('the slack channel', () => {
  test('sends a plain text when Slack refuses the blocks, and tells so', async () => {
    const rig = await start()
    rig.sink.answerNext({ status: 400, body: 'invalid_blocks' })
    const { receipt } = await rig.channel.send(notificationOf(), AbortSignal.timeout(10_000))
    expect(receipt).toBe('answered 400: invalid_blocks, then to plain text answered 200: ok')
    expect(Object.keys(JSON.parse(rig.sink.requests[1]?.body ?? '') as object)).toEqual([
      'text',
      'unfurl_links',
      'unfurl_media',
    ])
    await rig.close()
  })

  test('does not reach into the network unless allowed', async () => {
    const sink = await startHttpSink()
    const channel = openChannel(
      slackChannel,
      { url: sink.url },
      { fetch: outboundFetch({ allowPrivate: [] }) },
    )
    const error = await failureOf(channel.send(notificationOf(), AbortSignal.timeout(10_000)))
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    expect(error.message).toContain('network.allow_private')
    await sink.close()
  })

  test('leaves a second between two messages', () => {
    expect(openChannel(slackChannel, { url: 'https://hooks.slack.com/services/x' }).minIntervalMs).toBe(1_000)
  })

  test.each(['hooks.slack.com/x', 'ftp://hooks.slack.com/x', 'https://me:secret@hooks.slack.com/x', ''])(
    'does not take "%s" for its address, and does not quote it',
    (url) => {
      const result = slackChannel.schema.safeParse({ type: 'slack', url })
      expect(result.error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual([
        ['url', 'expected an http:// or https:// address without user name and password'],
      ])
    },
  )
})

describe('what Slack answers', () => {
  test.each([
    [200, 'ok', 'accepted'],
    [200, 'ok\n', 'accepted'],
    [200, '', 'again'],
    [200, 'no_text', 'again'],
    [400, 'invalid_payload', 'plainer'],
    [400, 'invalid_blocks', 'plainer'],
    [400, 'no_text', 'plainer'],
    [400, 'too_many_attachments', 'plainer'],
    [400, 'msg_blocks_too_long', 'plainer'],
    [400, 'something_new', 'plainer'],
    [400, 'user_not_found', 'never'],
    [403, 'action_prohibited', 'never'],
    [403, 'invalid_token', 'never'],
    [403, 'posting_to_general_channel_denied', 'never'],
    [403, 'team_disabled', 'never'],
    [403, 'something_new', 'never'],
    [404, 'channel_not_found', 'never'],
    [404, 'no_service', 'never'],
    [404, 'no_active_hooks', 'never'],
    [404, 'no_team', 'never'],
    [410, 'channel_is_archived', 'never'],
    [408, '', 'again'],
    [429, '', 'again'],
    [301, '', 'never'],
    [302, '', 'again'],
    [500, 'rollup_error', 'again'],
    [502, '<html>', 'again'],
    [503, '', 'again'],
    [204, '', 'again'],
  ])('%i %j means: %s', (status, text, meaning) => {
    const verdict = judgeSlackAnswer({ status, text, retryAfterMs: undefined })
    const said = { accepted: 'accepted', message_refused: 'plainer', refused: '' }[verdict.kind]
    expect(said || (verdict.kind === 'refused' && verdict.retryable ? 'again' : 'never')).toBe(meaning)
  })
})

describe('a Slack message', () => {
  test('has header, summary, facts, response, steps and footer', () => {
    const payload = slackBlocks(
      messageOf(notificationOf(), { 'Open in keyhound': 'https://k.example/a?b=1&c=<|>' }),
    )
    expect(payload.blocks?.map(({ type }) => type)).toEqual([
      'header',
      'section',
      'section',
      'section',
      'section',
      'section',
      'context',
    ])
    expect(payload.text).toBe(
      '🔴 [CRITICAL] key key-1: made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00',
    )
    expect(payload.blocks?.at(5)).toMatchObject({
      text: { type: 'mrkdwn', text: '<https://k.example/a?b=1&amp;c=%3C%7C%3E|Open in keyhound>' },
    })
  })

  test('complaint 19: of the end is one line: it does not clutter the channel', () => {
    const lead = { ...notificationOf().lead, resolvedAt: new Date('2026-03-02T03:41:00Z') }
    const payload = slackBlocks(messageOf(notificationOf({ type: 'alert.resolved', lead })))
    expect(payload.blocks).toEqual([
      {
        type: 'section',
        text: {
          type: 'plain_text',
          text: '🟢 [RESOLVED] key key-1: made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00; lasted 41 min, $184.20 so far, $262.00 per hour',
          emoji: false,
        },
      },
    ])
  })

  test('complaint 9: of a dry run carries a colour of its own beside that of its severity', () => {
    const headerOf = (kind: 'none' | 'would_revoke'): unknown =>
      slackBlocks(messageOf(notificationOf({ response: { kind } }))).blocks?.[0]
    expect(headerOf('none')).toMatchObject({ text: { text: '🔴 [CRITICAL] key key-1' } })
    expect(headerOf('would_revoke')).toMatchObject({
      text: { text: '🔴🟣 [CRITICAL] [DRY RUN] would revoke key key-1' },
    })
  })

  test('is escaped after it is cut, never within a character or an escape', () => {
    expect(escaped('a<b>&c', 100)).toBe('a&lt;b&gt;&amp;c')
    expect(escaped('<<<', 9)).toBe('&lt;&lt;…')
    expect(escaped('👍👍👍', 4)).toBe('👍…')
  })

  test('shows a command whole or not at all', () => {
    const message = messageOf(
      notificationOf({ key: { keyId: "'".repeat(256), teamId: undefined, environment: undefined } }),
    )
    const text = textsIn(JSON.stringify(slackBlocks(message))).join('\n')
    expect(text).toContain('keyhound alerts ack')
    expect(text).not.toContain('keyhound keys revoke')
  })

  test('keeps to the limits of Slack whatever is in it', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 1_000 }),
      fc.constantFrom('"', '\\', '&', '<').map((c) => c.repeat(600)),
      fc.constantFrom(...INJECTIONS),
    )
    fc.assert(
      fc.property(text, (chosen) => {
        const message = messageOf(poisonedWith(chosen))
        const payload = JSON.stringify(slackBlocks(message))
        expect(payload.length).toBeLessThan(10_000)
        for (const part of textsIn(payload)) expect(part).not.toMatch(/[<>]/)
        const header = slackBlocks(message).blocks?.[0] as { text: { text: string } }
        expect(header.text.text.length).toBeLessThanOrEqual(150)
        const fallback = slackFallback(message).text ?? ''
        expect(fallback.length).toBeLessThan(3_100)
        expect(fallback.slice(3, -3)).not.toContain('`')
      }),
      { numRuns: 100 },
    )
  })
})

/** Every text of a payload, as it stands in the JSON. */
function textsIn(body: string): string[] {
  const texts: string[] = []
  JSON.parse(body, (name, value: unknown) => {
    if (name === 'text' && typeof value === 'string') texts.push(value)
    return value
  })
  return texts
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
}
