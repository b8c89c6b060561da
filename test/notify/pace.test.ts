import { describe, expect, test } from 'vitest'
import { SECOND_MS } from '../../src/usage/duration.ts'
import { slackChannel } from '../../src/notify/channels/slack.ts'
import type { ManualClock } from '../../src/clock.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { openChannel } from './channel-contract.ts'
import { until } from '../harness/until.ts'
import { startWorld, type Replica, type World } from './replica.ts'

/** Slack as it is: one message a second for each webhook, else 429; `at` are the times of what it took. */
async function strictSlack(
  clock: ManualClock,
): Promise<{ sink: HttpSink; at: number[]; refused: () => number }> {
  const sink = await startHttpSink()
  const at: number[] = []
  let refused = 0
  sink.answerAlways(() => {
    const last = at.at(-1)
    if (last !== undefined && clock.nowMs() - last < SECOND_MS) {
      refused += 1
      return { status: 429, headers: { 'retry-after': '1' }, body: 'rate_limited' }
    }
    at.push(clock.nowMs())
    return { body: 'ok' }
  })
  return { sink, at, refused: () => refused }
}

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `key-${index}`)

async function states(world: World): Promise<Record<string, number>> {
  const rows = await world.db.selectFrom('delivery').select('state').execute()
  const byState = Map.groupBy(rows, ({ state }) => state)
  return Object.fromEntries([...byState].map(([state, all]) => [state, all.length]))
}

/** Moves the clock on, a quarter of a second at a time, until everything has been delivered. */
async function runUntilDelivered(world: World, replicas: readonly Replica[], count: number): Promise<void> {
  let turns = 0
  await until(
    async () => ((await states(world))['delivered'] ?? 0) >= count,
    () => {
      turns += 1
      if (turns % 8 === 0) world.clock.advance(250)
      for (const replica of replicas) replica.wake()
    },
  )
}

/** What the messages say, together with what they count. */
function told(sink: HttpSink): { keys: Set<string>; more: number } {
  const text = sink.requests.map(({ body }) => body).join('\n')
  return {
    keys: new Set(text.match(/\bkey key-\d+/g) ?? []),
    more: [...text.matchAll(/\+(\d+) more/g)].reduce((sum, [, more]) => sum + Number(more), 0),
  }
}

describe('a channel that takes one message a second', () => {
  test('complaint 17: gets sixty alerts at once from two replicas without a single 429, and none is dropped', async () => {
    const world = await startWorld()
    const slack = await strictSlack(world.clock)
    const open = () => openChannel(slackChannel, { url: slack.sink.url })
    await world.raise(keysOf(60), ['oncall'])
    const replicas = [world.replica({ oncall: open() }), world.replica({ oncall: open() })]
    await runUntilDelivered(world, replicas, 60)
    expect(slack.refused()).toBe(0)
    expect(await states(world)).toEqual({ delivered: 60 })
    // One message tells them all: ten by name, the others counted.
    expect(slack.at).toHaveLength(1)
    const { keys, more } = told(slack.sink)
    expect(keys.size + more).toBe(60)
    expect(slack.sink.requests[0]?.body).toContain('60 incidents: 60 critical')
    await slack.sink.close()
  })

  test('tells three that wait one by one, each with all that is known', async () => {
    const world = await startWorld()
    const slack = await strictSlack(world.clock)
    await world.raise(keysOf(3), ['oncall'])
    const replica = world.replica({ oncall: openChannel(slackChannel, { url: slack.sink.url }) })
    await runUntilDelivered(world, [replica], 3)
    // The clock may have moved on while a message was on its way: never sooner than a second.
    const gaps = slack.at.slice(1).map((atMs, index) => atMs - (slack.at[index] ?? NaN))
    expect(gaps).toHaveLength(2)
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(SECOND_MS)
    expect(slack.refused()).toBe(0)
    expect(replica.reports.map(({ together }) => together)).toEqual([1, 1, 1])
    await slack.sink.close()
  })

  test('complaint 17: a 429 is no end: firing and resolved both arrive, after the pause, in order', async () => {
    const world = await startWorld()
    const sink = await startHttpSink()
    sink.answerAlways({ body: 'ok' })
    sink.answerNext({ status: 429, headers: { 'retry-after': '30' }, body: 'rate_limited' })
    const replica = world.replica({ oncall: openChannel(slackChannel, { url: sink.url }) })
    await world.raise(['key-1'], ['oncall'])
    await until(
      () => replica.reports.length === 1,
      () => replica.wake(),
    )
    world.clock.advance(5_000)
    await world.resolve(['key-1'], ['oncall'])
    await runUntilDelivered(world, [replica], 2)
    expect(world.clock.nowMs()).toBeGreaterThanOrEqual(
      replica.reports[0]?.delivery.createdAt.getTime() ?? NaN,
    )
    expect(replica.reports.map(({ delivery, outcome }) => `${delivery.type} ${outcome.kind}`)).toEqual([
      'alert.opened retry',
      'alert.opened delivered',
      'alert.resolved delivered',
    ])
    await sink.close()
  })

  test('complaint 17: a 429 with Retry-After pauses the whole channel, for every replica and every message', async () => {
    const world = await startWorld()
    const sink = await startHttpSink()
    sink.answerAlways({ body: 'ok' })
    sink.answerNext({ status: 429, headers: { 'retry-after': '30' }, body: 'rate_limited' })
    const open = () => openChannel(slackChannel, { url: sink.url })
    const first = world.replica({ oncall: open() })
    await world.raise(['key-1'], ['oncall'])
    await until(
      () => first.reports.length === 1,
      () => first.wake(),
    )
    const second = world.replica({ oncall: open() })
    await world.raise(['key-2'], ['oncall'])
    world.clock.advance(29_900)
    let looks = 0
    await until(
      () => looks > 40,
      () => {
        looks += 1
        first.wake()
        second.wake()
      },
    )
    expect(sink.requests).toHaveLength(1)
    await runUntilDelivered(world, [first, second], 2)
    expect(sink.requests).toHaveLength(3)
    await sink.close()
  })
})
