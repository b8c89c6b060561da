import { describe, expect, test } from 'vitest'
import { DeliveryError } from '../../src/notify/channel.ts'
import { BROKEN_AFTER_MS } from '../../src/notify/note-attempt.ts'
import { LATE_MS } from '../../src/notify/watch-channels.ts'
import { createChannelStateStore } from '../../src/store/postgres/channel-state-store.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { until } from '../harness/until.ts'
import { FakeChannel, messages, startWorld, type World } from './replica.ts'

const GONE = new DeliveryError('Slack answered 404: no_service (make a new one in Slack)', {
  retryable: false,
})
const DOWN = new DeliveryError('the webhook answered 503', { retryable: true })

const brokenIn = async (world: World): Promise<string[]> =>
  (await createChannelStateStore(world.db).list())
    .filter(({ brokenAt }) => brokenAt !== undefined)
    .map(({ channel }) => channel)

/** The sink knows of a message before the outbox does. */
async function untilOutbox(world: World, lines: readonly string[]): Promise<void> {
  await until(async () => (await messages(world.db)).join() === lines.join())
}

describe('a channel that refuses for good', () => {
  test('complaint 16, 18: is told on another channel, and its alert reaches somebody', async () => {
    const world = await startWorld()
    const [oncall, siem, mail] = [new FakeChannel(), new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1'], ['oncall'])
    const replica = world.replica({ oncall, siem, mail })
    await until(
      () => siem.sent.length === 1 && siem.notices.length === 1,
      () => replica.wake(),
    )
    expect(siem.notices[0]).toMatchObject({
      type: 'keyhound.problem',
      topic: 'channel:oncall',
      severity: 'critical',
      title: 'channel oncall does not work: alerts do not arrive on it',
      text: 'Slack answered 404: no_service (make a new one in Slack)',
    })
    expect(siem.sent[0]).toMatchObject({ key: { keyId: 'key-1' }, insteadOf: 'oncall' })
    expect(mail.sent).toEqual([])
    await untilOutbox(world, ['oncall alert.opened failed', 'siem alert.opened delivered instead of oncall'])
    expect(await brokenIn(world)).toEqual(['oncall'])
  })

  test('has its fallback told first, before any other channel', async () => {
    const world = await startWorld()
    const [oncall, siem, mail] = [new FakeChannel(), new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1'], ['oncall'])
    const replica = world.replica(
      { oncall, siem, mail },
      { fallbacksFor: () => ['mail'], fallbacksOf: () => ['mail'] },
    )
    await until(
      () => mail.sent.length === 1 && mail.notices.length === 1,
      () => replica.wake(),
    )
    expect([siem.sent, siem.notices]).toEqual([[], []])
  })

  test('does not swallow what began and ended while nobody could be told: it is told elsewhere, in order', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1'], ['oncall'])
    world.clock.advance(SECOND_MS)
    await world.resolve(['key-1'], ['oncall'])
    const replica = world.replica({ oncall, siem })
    await until(
      () => siem.sent.length === 2,
      () => replica.wake(),
    )
    expect(siem.sent.map(({ type }) => type)).toEqual(['alert.opened', 'alert.resolved'])
  })

  test('gives nobody the same alert twice: who has it already does not stand in', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1'], ['oncall', 'siem'])
    const replica = world.replica({ oncall, siem })
    await until(
      () => siem.notices.length === 1,
      () => replica.wake(),
    )
    await until(
      async () =>
        (await world.db.selectFrom('delivery').selectAll().where('handed_over_at', 'is not', null).execute())
          .length === 1,
      () => replica.wake(),
    )
    expect(siem.keys).toEqual(['key-1'])
  })

  test('complaint 16: is probed with back-off, taken back by itself with a message, and sends what it missed', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1', 'key-2'], ['oncall'])
    const replica = world.replica({ oncall, siem })
    await until(
      () => siem.sent.length === 2 && siem.notices.length === 1,
      () => replica.wake(),
    )
    // Still broken after the first probe; nothing that comes meanwhile is sent on it.
    world.clock.advance(30 * SECOND_MS)
    await world.raise(['key-3'], ['oncall'])
    await until(
      () => siem.keys.includes('key-3'),
      () => replica.wake(),
    )
    await world.resolve(['key-2'], ['oncall'])
    oncall.fails = undefined
    world.clock.advance(30 * SECOND_MS)
    let looks = 0
    await until(
      () => looks > 40,
      () => {
        looks += 1
        replica.wake()
      },
    )
    expect([oncall.notices, oncall.sent]).toEqual([[], []])
    world.clock.advance(30 * SECOND_MS)
    await until(
      () => oncall.sent.length === 2 && siem.notices.length === 2,
      () => replica.wake(),
    )
    expect(oncall.notices.map(({ type, title }) => [type, title])).toEqual([
      ['keyhound.recovered', 'channel oncall works again'],
    ])
    // The incident of key-2 is over: it is not told any more.
    expect(oncall.keys.toSorted()).toEqual(['key-1', 'key-3'])
    expect(siem.notices.map(({ type }) => type)).toEqual(['keyhound.problem', 'keyhound.recovered'])
    expect(await brokenIn(world)).toEqual([])
  })

  test('complaint 16: keeps being told about until it was told: also after the process died, and when it is the only one', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1'], ['oncall'])
    const lonely = world.replica({ oncall })
    for (const message of [
      'an alert reaches nobody: its channel fails and there is no other',
      'the state of a channel could be told nowhere; it is tried again',
    ]) {
      await until(
        () => lonely.logged.some(({ msg }) => msg === message),
        () => lonely.wake(),
      )
    }
    await lonely.stop()
    world.clock.advance(3 * MINUTE_MS)
    const next = world.replica({ oncall, siem })
    await until(
      () => siem.notices.length === 1,
      () => next.wake(),
    )
    expect(siem.notices[0]?.topic).toBe('channel:oncall')
  })

  test('is asked at once when keyhound is started anew: whoever mended it need not wait', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = GONE
    await world.raise(['key-1'], ['oncall'])
    const before = world.replica({ oncall, siem })
    await until(
      () => siem.notices.length === 1,
      () => before.wake(),
    )
    await before.stop()
    oncall.fails = undefined
    const after = world.replica({ oncall, siem })
    await until(
      () => oncall.keys.length === 1,
      () => after.wake(),
    )
    expect(oncall.notices.map(({ type }) => type)).toEqual(['keyhound.recovered'])
  })

  test('a message that is refused for what it is breaks nothing, and is told elsewhere', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = new DeliveryError('answered 413', { retryable: false, blame: 'message' })
    await world.raise(['key-1'], ['oncall'])
    const replica = world.replica({ oncall, siem })
    await until(
      () => siem.sent.length === 1,
      () => replica.wake(),
    )
    expect(await brokenIn(world)).toEqual([])
    expect(siem.notices).toEqual([])
  })
})

describe('a channel that fails for long', () => {
  test('has its messages told elsewhere after five minutes, and goes on trying itself', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = DOWN
    await world.raise(['key-1'], ['oncall'])
    const replica = world.replica({ oncall, siem })
    await until(
      () => replica.reports.length === 1,
      () => replica.wake(),
    )
    world.clock.advance(LATE_MS - 1)
    await until(
      () => replica.reports.length === 2,
      () => replica.wake(),
    )
    expect(siem.sent).toEqual([])
    world.clock.advance(1)
    await until(
      () => siem.sent.length === 1,
      () => replica.wake(),
    )
    await untilOutbox(world, ['oncall alert.opened pending', 'siem alert.opened delivered instead of oncall'])
  })

  test('is broken after ten minutes, is told elsewhere, and sends all it owes as soon as one message gets through', async () => {
    const world = await startWorld()
    const [oncall, siem] = [new FakeChannel(), new FakeChannel()]
    oncall.fails = DOWN
    await world.raise(['key-1', 'key-2', 'key-3'], ['oncall', 'siem'])
    const replica = world.replica({ oncall, siem })
    const tries = (): number => replica.reports.filter(({ delivery }) => delivery.channel === 'oncall').length
    // The tries of the schedule until ten minutes have passed: at 0, 1, 6, 21, 81, 201, 501 and 1,101 seconds.
    for (const [index, seconds] of [0, 1, 5, 15, 60, 120, 300, 600].entries()) {
      world.clock.advance(seconds * SECOND_MS)
      await until(
        () => tries() >= 3 * (index + 1),
        () => replica.wake(),
      )
    }
    expect(world.clock.nowMs()).toBeGreaterThan(BROKEN_AFTER_MS)
    await until(
      () => siem.notices.length === 1,
      () => replica.wake(),
    )
    expect(siem.notices[0]?.facts?.at(-1)).toEqual({ label: 'Kind', value: 'every try fails' })
    oncall.fails = undefined
    world.clock.advance(30 * SECOND_MS)
    await until(
      () => oncall.sent.length === 3,
      () => replica.wake(),
    )
    expect(oncall.keys.toSorted()).toEqual(['key-1', 'key-2', 'key-3'])
    // The probe came back first: the last retries were half an hour away.
    expect(oncall.notices.map(({ type }) => type)).toEqual(['keyhound.recovered'])
    expect(await brokenIn(world)).toEqual([])
  })
})
