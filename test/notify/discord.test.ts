import { describe, expect, test } from 'vitest'
import { messageOf } from '../../src/alert/message.ts'
import { discordPayload, discordText } from '../../src/notify/channels/discord-payload.ts'
import { discordChannel } from '../../src/notify/channels/discord.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import fc from '../harness/fast-check.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { channelContract, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { HTTP_FAILURES } from './http-failures.ts'
import { INJECTIONS, notificationOf, poisonedWith } from './notifications.ts'

const PATH = '/api/webhooks/123456789012345678/AbCdEfGhIjKlMnOpQrStUvWx-secret'
const SAVED = { body: '{"id":"1187654321","type":0,"content":""}' }

interface DiscordRig extends Rig {
  readonly sink: HttpSink
}

async function start(): Promise<DiscordRig> {
  const sink = await startHttpSink()
  sink.answerAlways(SAVED)
  return {
    sink,
    channel: openChannel(discordChannel, { url: `${sink.url}${PATH}` }),
    received: () =>
      sink.requests.map(({ body }) => ({ text: shown(textsOf(body).join('\n')), id: undefined })),
    close: () => sink.close(),
  }
}

/** What Discord shows of a text: punctuation that is escaped stands for itself. */
function shown(text: string): string {
  return text.replaceAll(/\\([^0-9A-Za-z\s])/g, '$1')
}

interface Embed {
  title: string
  description: string
  color: number
  fields: { name: string; value: string }[]
  footer: { text: string }
}

function embedOf(body: string): Embed {
  const { embeds } = JSON.parse(body) as { embeds: [Embed] }
  return embeds[0]
}

function textsOf(body: string): string[] {
  const { title, description, fields, footer } = embedOf(body)
  return [title, description, ...fields.flatMap(({ name, value }) => [name, value]), footer.text]
}

function expectWithinLimits(body: string): void {
  const { title, description, fields, footer } = embedOf(body)
  expect(title.length).toBeLessThanOrEqual(256)
  expect(description.length).toBeLessThanOrEqual(4_096)
  expect(fields.length).toBeLessThanOrEqual(25)
  for (const { name, value } of fields) {
    expect(name).not.toBe('')
    expect(value).not.toBe('')
    expect(name.length).toBeLessThanOrEqual(256)
    expect(value.length).toBeLessThanOrEqual(1_024)
  }
  expect(footer.text.length).toBeLessThanOrEqual(2_048)
  expect(textsOf(body).join('').length).toBeLessThanOrEqual(6_000)
}

channelContract('discord', {
  start,
  secrets: () => [PATH, '123456789012345678', 'AbCdEfGhIjKlMnOpQrStUvWx-secret'],
  checkHarmless: ({ sink }) => {
    const body = sink.requests[0]?.body ?? ''
    expectWithinLimits(body)
    expect((JSON.parse(body) as { allowed_mentions: unknown }).allowed_mentions).toEqual({ parse: [] })
    const { footer, ...formatted } = embedOf(body)
    // The footer is plain to Discord. Elsewhere every sign that could begin something is escaped, or stands in code.
    expect(footer.text).not.toMatch(/\p{Cc}/u)
    const texts = [
      formatted.title,
      formatted.description,
      ...formatted.fields.flatMap((f) => [f.name, f.value]),
    ]
    for (const text of texts) {
      const bare = text.replaceAll(/\\[^0-9A-Za-z\s]/g, '').replaceAll(/`[^`\n]*`/g, '')
      expect(bare).not.toMatch(/[\\*_~`|#>[\](){}<@]|:\S/)
    }
  },
  failures: [
    ...HTTP_FAILURES,
    {
      name: 'waits as long as Discord asks in the body of a 429',
      provoke: ({ sink }) =>
        sink.answerNext({
          status: 429,
          body: '{"message":"You are being rate limited.","retry_after":64.57}',
        }),
      retryable: true,
      retryAfterMs: 64_570,
      says: 'rate limited',
    },
    {
      name: 'waits as long as Discord asks in the header of a 429',
      provoke: ({ sink }) => sink.answerNext({ status: 429, headers: { 'retry-after': '30' } }),
      retryable: true,
      retryAfterMs: 30_000,
      says: '429',
    },
    {
      name: 'does not take an answer without a message for success',
      provoke: ({ sink }) => sink.answerNext({ status: 200, body: '<html>sign in</html>' }),
      retryable: true,
      says: 'expected the message that was saved',
    },
    ...[401, 403, 404].map((status) => ({
      name: `gives up on a webhook that was removed: ${status}`,
      provoke: ({ sink }: DiscordRig) =>
        sink.answerNext({ status, body: '{"message":"Unknown Webhook","code":10015}' }),
      retryable: false,
      says: 'webhook',
    })),
    {
      name: 'gives up on a message that is refused, and blames the message',
      provoke: ({ sink }) => sink.answerNext({ status: 400, body: '{"embeds":["0"]}' }),
      retryable: false,
      blame: 'message',
      says: 'answered 400',
    },
    {
      name: 'tries again after 502',
      provoke: ({ sink }) => sink.answerNext({ status: 502 }),
      retryable: true,
      says: '502',
    },
    {
      name: 'does not repeat our address when the other side quotes it',
      provoke: ({ sink }) => sink.answerNext({ status: 405, body: `no POST to ${PATH}` }),
      retryable: false,
      says: 'no POST to /api/[secret]/[secret]/[secret]',
    },
  ],
})

describe('the discord channel', () => {
  test('waits for Discord to save the message, whatever the address says of it', async () => {
    const sink = await startHttpSink()
    sink.answerAlways(SAVED)
    const channel = openChannel(discordChannel, { url: `${sink.url}${PATH}?thread_id=7&wait=false` })
    const { receipt } = await channel.send(notificationOf(), AbortSignal.timeout(10_000))
    expect(receipt).toBe('answered 200: message 1187654321')
    expect(sink.requests[0]?.path).toBe(`${PATH}?thread_id=7&wait=true`)
    await sink.close()
  })

  test('complaint 9: shows a dry run in a colour of its own', () => {
    const colourOf = (kind: 'none' | 'would_revoke'): number | undefined =>
      discordPayload(messageOf(notificationOf({ response: { kind } }))).embeds[0]?.color
    expect([colourOf('none'), colourOf('would_revoke')]).toEqual([0xb91c1c, 0x7e22ce])
  })

  test('links to the pages about the alert, and to nothing else', () => {
    const links = { alert: 'https://k.example/api', acknowledge: 'https://k.example/act/a(b)' }
    const [embed] = discordPayload(messageOf(notificationOf(), links)).embeds
    expect(embed?.description).toContain('[Acknowledge](<https://k.example/act/a%28b%29>)')
    expect(embed?.description).not.toContain('/api')
  })

  test('complaint 19: tells the end in one line', () => {
    const [embed] = discordPayload(messageOf(notificationOf({ type: 'alert.resolved' }))).embeds
    expect(embed?.fields).toEqual([])
    expect(embed?.description.split('\n')).toHaveLength(1)
  })

  test('keeps to the limits of Discord whatever is in it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 3_000 }), fc.constantFrom(...INJECTIONS))
    fc.assert(
      fc.property(text, (chosen) =>
        expectWithinLimits(JSON.stringify(discordPayload(messageOf(poisonedWith(chosen))))),
      ),
      { numRuns: 60 },
    )
  })

  test('cuts a text never within an escape', () => {
    expect(discordText('a*b*c', 6)).toBe('a\\*b…')
    expect(discordText('https://evil.example', 100)).toBe('https\\:\\/\\/evil.example')
  })

  test('does not reach into the network unless allowed', async () => {
    const sink = await startHttpSink()
    const tools = { fetch: outboundFetch({ allowPrivate: [] }) }
    const error = await failureOf(
      openChannel(discordChannel, { url: sink.url }, tools).send(
        notificationOf(),
        AbortSignal.timeout(10_000),
      ),
    )
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    await sink.close()
  })
})
