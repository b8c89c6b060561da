import { describe, expect, test } from 'vitest'
import { messageOf } from '../../src/alert/message.ts'
import { MAX_TEAMS_BYTES, teamsPayload } from '../../src/notify/channels/teams-payload.ts'
import { teamsChannel } from '../../src/notify/channels/teams.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import fc from '../harness/fast-check.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { channelContract, failureOf, openChannel, type Rig } from './channel-contract.ts'
import { HTTP_FAILURES } from './http-failures.ts'
import { INJECTIONS, notificationOf, poisonedWith } from './notifications.ts'

const PATH = '/workflows/0a1b2c3d4e5f/triggers/manual/paths/invoke'
const SIGNATURE = 'AbCdEfGhIjKlMnOpQrSt_secret'

interface TeamsRig extends Rig {
  readonly sink: HttpSink
}

async function start(): Promise<TeamsRig> {
  const sink = await startHttpSink()
  sink.answerAlways({ status: 202 })
  return {
    sink,
    channel: openChannel(teamsChannel, { url: `${sink.url}${PATH}?api-version=1&sig=${SIGNATURE}` }),
    received: () => sink.requests.map(({ body }) => ({ text: textOf(body), id: undefined })),
    close: () => sink.close(),
  }
}

interface Card {
  readonly body: readonly { readonly type: string }[]
  readonly actions: readonly { readonly title: string; readonly url: string }[]
}

function cardOf(body: string): Card {
  const { attachments } = JSON.parse(body) as { attachments: [{ content: Card }] }
  return attachments[0].content
}

/** All texts of a card, whatever they are nested in. */
function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === 'text' && typeof inner === 'string' ? [inner] : textsIn(inner),
  )
}

function textOf(body: string): string {
  return textsIn(cardOf(body).body).join('\n')
}

channelContract('teams', {
  start,
  secrets: () => [SIGNATURE, '0a1b2c3d4e5f'],
  checkHarmless: ({ sink }) => {
    const body = sink.requests[0]?.body ?? ''
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(MAX_TEAMS_BYTES)
    // A TextBlock would read markdown, and mentions come from msteams.entities: there is neither.
    expect(body).not.toContain('"TextBlock"')
    expect(body).not.toContain('"entities"')
    expect(cardOf(body).actions).toEqual([])
    for (const text of textsIn(cardOf(body).body)) expect(text).not.toMatch(/\p{Cc}|\u202E|\u200B/u)
  },
  failures: [
    ...HTTP_FAILURES,
    {
      name: 'waits as long as asked after 429',
      provoke: ({ sink }) => sink.answerNext({ status: 429, headers: { 'retry-after': '30' } }),
      retryable: true,
      retryAfterMs: 30_000,
      says: '429',
    },
    ...[401, 403, 404, 410].map((status) => ({
      name: `gives up on a workflow that is gone: ${status}`,
      provoke: ({ sink }: TeamsRig) => sink.answerNext({ status, body: 'The workflow was not found' }),
      retryable: false,
      says: 'copy its address anew',
    })),
    ...[400, 413].map((status) => ({
      name: `gives up on a message that is refused, and blames the message: ${status}`,
      provoke: ({ sink }: TeamsRig) => sink.answerNext({ status, body: 'too large' }),
      retryable: false,
      blame: 'message' as const,
      says: `answered ${status}`,
    })),
    {
      name: 'tries again after 503',
      provoke: ({ sink }) => sink.answerNext({ status: 503 }),
      retryable: true,
      says: '503',
    },
    {
      name: 'does not repeat our address when the other side quotes it',
      provoke: ({ sink }) => sink.answerNext({ status: 404, body: `no flow at ${PATH}?sig=${SIGNATURE}` }),
      retryable: false,
      says: 'sig=[secret]',
    },
  ],
})

describe('the teams channel', () => {
  test.each([200, 202, 204])('takes %i for accepted, and says that it is not confirmed', async (status) => {
    const rig = await start()
    rig.sink.answerAlways({ status })
    const { receipt } = await rig.channel.send(notificationOf(), AbortSignal.timeout(10_000))
    expect(receipt).toBe(`answered ${status} (accepted, unconfirmed)`)
    await rig.close()
  })

  test('sends what a workflow takes: one adaptive card, with the links as buttons', () => {
    const payload = teamsPayload(
      messageOf(notificationOf(), { alert: 'https://k.example/api', revoke: 'https://k.example/act/r' }),
    )
    expect(payload).toMatchObject({
      type: 'message',
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          contentUrl: null,
          content: {
            type: 'AdaptiveCard',
            version: '1.4',
            actions: [{ type: 'Action.OpenUrl', title: 'Revoke the key', url: 'https://k.example/act/r' }],
          },
        },
      ],
    })
  })

  test('complaint 9: shows a dry run on a ground of its own', () => {
    const styleOf = (kind: 'none' | 'would_revoke'): unknown =>
      teamsPayload(messageOf(notificationOf({ response: { kind } }))).attachments[0].content.body[0]
    expect(styleOf('none')).toMatchObject({ style: 'attention' })
    expect(styleOf('would_revoke')).toMatchObject({ style: 'emphasis' })
  })

  test('complaint 19: tells the end in one line', () => {
    const { content } = teamsPayload(messageOf(notificationOf({ type: 'alert.resolved' }))).attachments[0]
    expect(content.body).toHaveLength(1)
  })

  test('stays under 28 KB whatever is in it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 3_000 }), fc.constantFrom(...INJECTIONS))
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 30_000 }), (chosen, addressLength) => {
        const links = { revoke: `https://k.example/${'a'.repeat(addressLength)}` }
        const payload = teamsPayload(messageOf(poisonedWith(chosen), links))
        expect(Buffer.byteLength(JSON.stringify(payload))).toBeLessThanOrEqual(MAX_TEAMS_BYTES)
      }),
      { numRuns: 60 },
    )
  })

  test('does not reach into the network unless allowed', async () => {
    const sink = await startHttpSink()
    const tools = { fetch: outboundFetch({ allowPrivate: [] }) }
    const error = await failureOf(
      openChannel(teamsChannel, { url: sink.url }, tools).send(notificationOf(), AbortSignal.timeout(10_000)),
    )
    expect([error.retryable, sink.requests.length]).toEqual([false, 0])
    await sink.close()
  })
})
