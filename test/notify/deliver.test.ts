import { pino, type Logger } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Notification } from '../../src/alert/notification.ts'
import { ManualClock } from '../../src/clock.ts'
import { DeliveryError, type Channel } from '../../src/notify/channel.ts'
import {
  LEASE_MS,
  RENEW_MS,
  startDelivering,
  type Delivering,
  type DeliveryReport,
} from '../../src/notify/deliver.ts'
import { STORE_LIMIT_MS } from '../../src/outbound/store-firmly.ts'
import type { PollLoop } from '../../src/outbound/poll-loop.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createChannelStateStore } from '../../src/store/postgres/channel-state-store.ts'
import { createDeliveryStore } from '../../src/store/postgres/delivery-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { testDatabase } from '../harness/database.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { until } from '../harness/until.ts'
import { outbox, raiseAlert } from './outbox.ts'

const MINUTE_MS = 60_000

let db: Database
let clock: ManualClock
let loops: PollLoop[]
let logged: { level: number; msg: string }[]
let log: Logger

beforeEach(async () => {
  db = openDatabase(await testDatabase())
  clock = new ManualClock(SOME_TIME_MS)
  loops = []
  logged = []
  log = pino(
    {},
    { write: (line: string) => void logged.push(JSON.parse(line) as { level: number; msg: string }) },
  )
})
afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()))
  await db.destroy()
})

describe('delivering', () => {
  test('sends what is due once on each channel, and stores what the other side answered', async () => {
    const oncall = recordingChannel()
    const siem = recordingChannel()
    await raise('key-1', ['oncall', 'siem'])
    const delivering = deliver({ oncall, siem })
    await delivering.outcomes(2)
    expect(await outbox(db)).toEqual(['oncall alert.opened delivered 1', 'siem alert.opened delivered 1'])
    expect(oncall.sent.map(({ key, type }) => [key.keyId, type])).toEqual([['key-1', 'alert.opened']])
    expect(await receipts()).toEqual(['taken', 'taken'])
  })

  test('waits until the policy has judged the alert', async () => {
    const oncall = recordingChannel()
    await raiseAlert(db, { keyId: 'key-1', channels: ['oncall'], nowMs: clock.nowMs() })
    const delivering = deliver({ oncall })
    await delivering.idle()
    expect(oncall.sent).toHaveLength(0)
    await judge()
    delivering.loop.wake()
    await delivering.outcomes(1)
    expect(oncall.sent).toHaveLength(1)
  })

  test('tries again later what failed for now, with the same id, until it arrives', async () => {
    const oncall = recordingChannel(
      new DeliveryError('answered 503', { retryable: true }),
      new DeliveryError('answered 503', { retryable: true }),
    )
    await raise('key-1', ['oncall'])
    const delivering = deliver({ oncall })
    await delivering.outcomes(1)
    expect(await outbox(db)).toEqual(['oncall alert.opened pending 1'])
    for (const [count, delayMs] of [
      [2, 1_000],
      [3, 5_000],
    ] as const) {
      clock.advance(delayMs - 1)
      delivering.loop.wake()
      await delivering.idle()
      expect(delivering.reports).toHaveLength(count - 1)
      clock.advance(1)
      delivering.loop.wake()
      await delivering.outcomes(count)
    }
    expect(delivering.reports.map(({ outcome }) => outcome.kind)).toEqual(['retry', 'retry', 'delivered'])
    expect(new Set(oncall.sent.map(({ id }) => id)).size).toBe(1)
  })

  test('waits as long as the other side asks, with every message of that channel', async () => {
    const oncall = recordingChannel(
      new DeliveryError('answered 429', { retryable: true, retryAfterMs: 5 * MINUTE_MS }),
    )
    await raise('key-1', ['oncall'])
    await raise('key-2', ['oncall'])
    const delivering = deliver({ oncall })
    await delivering.outcomes(1)
    clock.advance(5 * MINUTE_MS - 1)
    delivering.loop.wake()
    await delivering.idle()
    expect(oncall.sent).toHaveLength(1)
    clock.advance(1)
    delivering.loop.wake()
    await delivering.outcomes(3)
    expect((await outbox(db)).map((line) => line.split(' ')[2])).toEqual(['delivered', 'delivered'])
  })

  test('gives up at once on what can never arrive, stores why and logs an error', async () => {
    await raise('key-1', ['oncall'])
    const delivering = deliver({
      oncall: recordingChannel(new DeliveryError('answered 404', { retryable: false })),
    })
    await delivering.outcomes(1)
    expect(delivering.reports[0]?.outcome).toEqual({ kind: 'failed', error: 'answered 404' })
    expect(await outbox(db)).toEqual(['oncall alert.opened failed 1'])
    expect(logged.filter(({ level }) => level === 50).map(({ msg }) => msg)).toEqual([
      'the channel is broken; it is told elsewhere and probed',
      'delivery failed for good',
    ])
  })

  test('gives up after about a day of tries', async () => {
    const oncall = recordingChannel()
    oncall.failAlways(new DeliveryError('answered 500', { retryable: true }))
    await raise('key-1', ['oncall'])
    const delivering = deliver({ oncall })
    for (let tries = 1; delivering.reports.at(-1)?.outcome.kind !== 'failed'; tries += 1) {
      expect(tries).toBeLessThan(40)
      delivering.loop.wake()
      await delivering.outcomes(tries)
      const outcome = delivering.reports.at(-1)?.outcome
      if (outcome?.kind === 'retry') clock.set(outcome.at.getTime())
    }
    expect(delivering.reports.at(-1)?.outcome).toEqual({
      kind: 'failed',
      error: 'given up after 32 tries: answered 500',
    })
    expect(Math.round((clock.nowMs() - SOME_TIME_MS) / 3_600_000)).toBe(24)
  })

  test('fails a message to a channel that is no longer in the configuration, and says so', async () => {
    await raise('key-1', ['old'])
    const delivering = deliver({ oncall: recordingChannel() })
    await delivering.outcomes(1)
    expect(delivering.reports[0]?.outcome).toEqual({
      kind: 'failed',
      error: 'the channel "old" is not in the configuration any more (defined: oncall)',
    })
  })

  test('is not held up by a channel that hangs: the others get their messages', async () => {
    const hanging = hangingChannel()
    const oncall = recordingChannel()
    for (const keyId of ['key-1', 'key-2', 'key-3']) await raise(keyId, ['hanging', 'oncall'])
    const delivering = deliver({ hanging, oncall })
    await delivering.outcomes(3)
    expect(oncall.sent.map(({ key }) => key.keyId).toSorted(alphabetically)).toEqual([
      'key-1',
      'key-2',
      'key-3',
    ])
    expect(hanging.begun).toBe(1)
    hanging.release()
  })

  test('gives up on a channel that hears no signal, and tries again', async () => {
    await raise('key-1', ['deaf'])
    const delivering = deliver({ deaf: hangingChannel() }, { sendTimeoutMs: 50 })
    await delivering.outcomes(1)
    expect(delivering.reports[0]?.outcome).toMatchObject({
      kind: 'retry',
      error: 'the channel did not end in time',
    })
  })

  test('leaves the time between two messages that a channel asks for', async () => {
    const slack = { ...recordingChannel(), minIntervalMs: 1_000 }
    await raise('key-1', ['slack'])
    await raise('key-2', ['slack'])
    const delivering = deliver({ slack })
    await delivering.outcomes(1)
    clock.advance(999)
    delivering.loop.wake()
    await delivering.idle()
    expect(delivering.reports).toHaveLength(1)
    clock.advance(1)
    delivering.loop.wake()
    await delivering.outcomes(2)
  })

  test('sends each message once when two senders share the outbox', async () => {
    const oncall = recordingChannel()
    const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`)
    for (const keyId of keys) await raise(keyId, ['oncall'])
    const [one, other] = [deliver({ oncall }), deliver({ oncall })]
    await until(() => one.reports.length + other.reports.length === keys.length)
    expect(oncall.sent.map(({ key }) => key.keyId).toSorted(alphabetically)).toEqual(
      keys.toSorted(alphabetically),
    )
  })

  test('goes on where a sender that died left off, with the same id, when its lease ends', async () => {
    await raise('key-1', ['oncall'])
    const store = createDeliveryStore(db)
    const [lost] = await store.claimDue({ nowMs: clock.nowMs(), limit: 1, leaseMs: LEASE_MS })
    const oncall = recordingChannel()
    const delivering = deliver({ oncall })
    await delivering.idle()
    expect(oncall.sent).toHaveLength(0)
    clock.advance(LEASE_MS)
    delivering.loop.wake()
    await delivering.outcomes(1)
    expect(oncall.sent.map(({ id }) => id)).toEqual([lost?.id])
  })

  test('lets the message that is being sent end when stopped, and begins no other', async () => {
    const hanging = hangingChannel()
    await raise('key-1', ['hanging'])
    const delivering = deliver({ hanging })
    await until(() => hanging.begun === 1)
    await raise('key-2', ['hanging'])
    const stopped = delivering.loop.stop()
    hanging.release()
    await stopped
    expect(hanging.begun).toBe(1)
    expect((await outbox(db)).map((line) => line.split(' ')[2] ?? '').toSorted(alphabetically)).toEqual([
      'delivered',
      'pending',
    ])
  })

  test('takes a fault of a channel for a failure worth another try, without showing what it says', async () => {
    await raise('key-1', ['oncall'])
    const delivering = deliver({ oncall: recordingChannel(new TypeError('the secret is hunter2')) })
    await delivering.outcomes(1)
    expect(delivering.reports[0]?.outcome).toMatchObject({
      kind: 'retry',
      error: 'the channel failed with TypeError',
    })
    expect(JSON.stringify(logged)).not.toContain('hunter2')
  })

  test('goes on by itself when the database is back', async () => {
    await raise('key-1', ['oncall'])
    const store = createDeliveryStore(db)
    let away = true
    const oncall = recordingChannel()
    const delivering = deliver(
      { oncall },
      {
        deliveries: {
          ...store,
          claimDue: (claim) => (away ? Promise.reject(new Error('away')) : store.claimDue(claim)),
        },
      },
    )
    await until(() => logged.length > 0)
    away = false
    delivering.loop.wake()
    await delivering.outcomes(1)
    expect(logged.map(({ msg }) => msg)).toContain('deliveries cannot be read; trying again')
  })

  test('has a lease that outlives the time between two renewals and the storing of the outcome', () => {
    expect(LEASE_MS).toBeGreaterThan(RENEW_MS + STORE_LIMIT_MS)
  })
})

async function raise(keyId: string, channels: string[]): Promise<void> {
  await raiseAlert(db, { keyId, channels, nowMs: clock.nowMs() })
  await judge()
}

async function judge(): Promise<void> {
  await createRevocationStore(db).decideDue(() => ({ kind: 'none' }), clock.nowMs())
}

async function receipts(): Promise<(string | null)[]> {
  return (await db.selectFrom('delivery').select('receipt').execute()).map(({ receipt }) => receipt)
}

function deliver(channels: Record<string, Channel>, given: Partial<Delivering> = {}) {
  const reports: DeliveryReport[] = []
  const store = given.deliveries ?? createDeliveryStore(db)
  let asked = 0
  const loop = startDelivering({
    channels: () => new Map(Object.entries(channels)),
    states: createChannelStateStore(db),
    clock,
    log,
    onOutcome: (report) => void reports.push(report),
    random: () => 0.5,
    ...given,
    deliveries: {
      ...store,
      nextDueMs: async (except) => {
        const dueMs = await store.nextDueMs(except)
        asked += 1
        return dueMs
      },
    },
  })
  loops.push(loop)
  return {
    loop,
    reports,
    outcomes: (count: number) => until(() => reports.length >= count),
    /** Until the loop has found nothing to do after this moment. */
    idle: async () => {
      const before = asked
      // The first answer may be to a question from before.
      for (const answers of [1, 2]) {
        loop.wake()
        await until(() => asked >= before + answers)
      }
    },
  }
}

/** Takes every message, after failing with the errors given, in order. */
function recordingChannel(...errors: Error[]) {
  const sent: Notification[] = []
  let always: Error | undefined
  return {
    sent,
    failAlways: (error: Error): void => {
      always = error
    },
    send: async (notification: Notification): Promise<{ receipt: string }> => {
      sent.push(notification)
      const error = errors.shift() ?? always
      if (error !== undefined) throw error
      return Promise.resolve({ receipt: 'taken' })
    },
    tell: async (): Promise<{ receipt: string }> => Promise.resolve({ receipt: 'taken' }),
  }
}

/** Takes a message but does not answer before it is released. */
function hangingChannel() {
  const gate = Promise.withResolvers<void>()
  const channel = {
    begun: 0,
    release: (): void => gate.resolve(),
    send: async (): Promise<{ receipt: string }> => {
      channel.begun += 1
      await gate.promise
      return { receipt: 'at last' }
    },
    tell: async (): Promise<{ receipt: string }> => Promise.resolve({ receipt: 'taken' }),
  }
  return channel
}

function alphabetically(a: string, b: string): number {
  return a.localeCompare(b)
}
