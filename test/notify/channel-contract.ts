import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NOTICE_TYPES, type NoticeType } from '../../src/alert/notice.ts'
import { NOTIFICATION_TYPES, type NotificationType } from '../../src/alert/notification.ts'
import { DeliveryError, type Channel, type ChannelTools, type ChannelType } from '../../src/notify/channel.ts'
import { testChannel } from '../../src/notify/test-channel.ts'
import { systemClock } from '../../src/clock.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import {
  INJECTIONS,
  manyIncidents,
  noticeOf,
  notificationOf,
  poisonedWith,
  RESPONSE_OF,
} from './notifications.ts'

/** A channel that points at a real server on this machine. */
export interface Rig {
  readonly channel: Channel
  /** What the channel sent, each as a reader or a program gets it: unescaped, decoded. */
  received(): readonly Received[]
  close(): Promise<void>
}

export interface Received {
  /** All that is shown to a reader. */
  readonly text: string
  /** The idempotency key; undefined where the other side has none. */
  readonly id: string | undefined
}

/** Something that goes wrong on the other side, and what the channel must make of it. */
export interface Failure<SomeRig extends Rig> {
  readonly name: string
  provoke(rig: SomeRig): void | Promise<void>
  readonly retryable: boolean
  readonly retryAfterMs?: number
  /** Of what is not retryable; `channel` when absent. */
  readonly blame?: 'message'
  /** A part of the message for the operator. */
  readonly says: string
}

/** What every channel promises. Each channel's test calls it and adds its own cases. */
export function channelContract<SomeRig extends Rig>(
  name: string,
  {
    start,
    failures,
    secrets,
    checkHarmless,
    bare = [],
  }: {
    readonly start: () => Promise<SomeRig>
    readonly failures: readonly Failure<SomeRig>[]
    /** Texts of the configuration that no error, receipt or log may show. */
    readonly secrets: (rig: SomeRig) => readonly string[]
    /** Looks at the raw messages after a poisoned one went out. */
    readonly checkHarmless: (rig: SomeRig) => void
    /** What is no text to the other side but a change of state: only the fact is sent. */
    readonly bare?: readonly (NotificationType | NoticeType)[]
  },
): void {
  describe(`every channel: ${name}`, () => {
    let rig: SomeRig
    beforeEach(async () => {
      rig = await start()
    })
    afterEach(async () => {
      await rig.channel.close?.()
      await rig.close()
    })

    test.each(NOTIFICATION_TYPES.map((type) => ({ type })))(
      'delivers $type with key, title and next step',
      async ({ type }) => {
        const notification = notificationOf({ type, response: RESPONSE_OF[type] })
        const { receipt } = await rig.channel.send(notification, AbortSignal.timeout(10_000))
        expect(receipt).not.toBe('')
        expect(rig.received()).toHaveLength(1)
        if (bare.includes(type)) return
        expect(rig.received()[0]?.text).toContain('key-1')
        expect(rig.received()[0]?.text).toContain('352')
      },
    )

    test.each(NOTICE_TYPES.map((type) => ({ type })))(
      'delivers $type, keyhound about itself',
      async ({ type }) => {
        const { receipt } = await rig.channel.tell(noticeOf({ type }), AbortSignal.timeout(10_000))
        expect(receipt).not.toBe('')
        expect(rig.received()).toHaveLength(1)
        if (bare.includes(type)) return
        for (const part of ['channel oncall does not work', 'no_service', 'make a new webhook'])
          expect(rig.received()[0]?.text).toContain(part)
      },
    )

    test('complaint 18: tells many incidents in one message, the worst by name, and counts the rest', async () => {
      if (rig.channel.sendTogether === undefined) return
      const [first, ...rest] = manyIncidents(25)
      if (first === undefined) throw new Error('no incidents')
      const { receipt } = await rig.channel.sendTogether([first, ...rest], AbortSignal.timeout(10_000))
      expect(receipt).not.toBe('')
      expect(rig.received()).toHaveLength(1)
      const text = rig.received()[0]?.text ?? ''
      expect(text).toContain('25 incidents: 5 critical, 20 warning')
      expect(text).toContain('+15 more')
      for (const critical of [0, 5, 10, 15, 20]) expect(text).toContain(`key many-${critical}:`)
    })

    test('complaint 9: says in a dry run that it is one', async () => {
      await rig.channel.send(
        notificationOf({ response: { kind: 'would_revoke' } }),
        AbortSignal.timeout(10_000),
      )
      expect(rig.received()[0]?.text).toMatch(/\[DRY RUN\]|"would_revoke"/)
    })

    test('marks a test as one, and tells what the other side answered', async () => {
      const { receipt } = await testChannel(rig.channel, systemClock)
      expect(receipt).toMatch(/\d{3}/)
      expect(rig.received()[0]?.text).toMatch(/\[TEST\]|"test":true/)
      expect(rig.received()[0]?.text).toContain('sample-key')
    })

    test('complaint 2: sends a retry with the same id', async () => {
      const notification = notificationOf()
      await rig.channel.send(notification, AbortSignal.timeout(10_000))
      await rig.channel.send(notification, AbortSignal.timeout(10_000))
      const ids = rig.received().map(({ id }) => id)
      expect(ids).toHaveLength(2)
      expect(ids[0]).toBe(ids[1])
    })

    test.each(INJECTIONS.map((text) => ({ text, shown: JSON.stringify(text.slice(0, 40)) })))(
      'treats $shown as text',
      async ({ text }) => {
        await rig.channel.send(poisonedWith(text), AbortSignal.timeout(10_000))
        expect(rig.received()).toHaveLength(1)
        checkHarmless(rig)
      },
    )

    test.each(INJECTIONS.map((text) => ({ text, shown: JSON.stringify(text.slice(0, 40)) })))(
      'treats $shown in what keyhound says about itself as text',
      async ({ text }) => {
        const facts = [{ label: text, value: text }]
        const lines = Array.from({ length: 30 }, () => text)
        const notice = noticeOf({ title: text, text, facts, lines, advice: text, topic: text })
        await rig.channel.tell(notice, AbortSignal.timeout(10_000))
        expect(rig.received()).toHaveLength(1)
        checkHarmless(rig)
      },
    )

    test.each(failures)('$name', async (failure) => {
      const { retryable, retryAfterMs, says, blame = 'channel' } = failure
      await failure.provoke(rig)
      const error = await failureOf(rig.channel.send(notificationOf(), AbortSignal.timeout(10_000)))
      expect({ retryable: error.retryable, retryAfterMs: error.retryAfterMs }).toEqual({
        retryable,
        retryAfterMs,
      })
      if (!retryable) expect(error.blame).toBe(blame)
      expect(error.message).toContain(says)
      for (const secret of secrets(rig)) expect(everythingShownOf(error)).not.toContain(secret)
    })

    test('ends when it is told to', async () => {
      const error = await failureOf(rig.channel.send(notificationOf(), AbortSignal.abort()))
      expect(error.retryable).toBe(true)
      expect(rig.received()).toHaveLength(0)
    })
  })
}

/** A channel as the configuration makes it. */
export function openChannel(
  type: ChannelType,
  config: Record<string, unknown>,
  tools: Partial<ChannelTools> = {},
): Channel {
  return type.open(type.schema.parse({ type: type.type, ...config }), {
    fetch: outboundFetch({ allowPrivate: ['127.0.0.0/8'], timeoutMs: 2_000 }),
    nowMs: () => systemClock.nowMs(),
    ...tools,
  })
}

export async function failureOf(sending: Promise<unknown>): Promise<DeliveryError> {
  const error: unknown = await sending.then(
    () => new Error('it was delivered'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof DeliveryError)) throw error
  return error
}

/** All ways in which an error ends up in a log. */
export function everythingShownOf(error: Error): string {
  const causes: string[] = []
  for (let next: unknown = error; next instanceof Error; next = next.cause) {
    causes.push(String(next), next.message, next.stack ?? '', JSON.stringify(next))
  }
  return [...causes, inspect(error, { depth: 20, showHidden: true })].join('\n')
}
