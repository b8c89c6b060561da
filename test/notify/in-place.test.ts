import { onTestFinished, expect, test } from 'vitest'
import type { Channel } from '../../src/notify/channel.ts'
import { slackChannel } from '../../src/notify/channels/slack.ts'
import { SECOND_MS } from '../../src/usage/duration.ts'
import { startHttpSink } from '../harness/http-sink.ts'
import { openChannel } from './channel-contract.ts'
import { until } from '../harness/until.ts'
import { startWorld, type Replica, type World } from './replica.ts'

interface Call {
  readonly method: string
  readonly ts: string | undefined
  readonly thread: string | undefined
  readonly text: string
}

async function slackApi(): Promise<{ open: () => Channel; calls: () => Call[] }> {
  const sink = await startHttpSink()
  onTestFinished(async () => sink.close())
  let posted = 0
  sink.answerAlways(({ body }) => {
    posted += 1
    const { ts = `1712345678.00000${posted}` } = JSON.parse(body) as { ts?: string }
    return { body: JSON.stringify({ ok: true, channel: 'C0123456789', ts }) }
  })
  const settings = { token: 'xoxb-1234567890-abcdef', channel: 'C0123456789', api_url: sink.url }
  return {
    open: () => openChannel(slackChannel, settings),
    calls: () =>
      sink.requests.map(({ path, body }) => {
        const { ts, thread_ts: thread, text = '' } = JSON.parse(body) as Record<string, string | undefined>
        return { method: path.slice(1), ts, thread, text }
      }),
  }
}

/** Moves the clock on until so many messages have been delivered. */
async function delivered(world: World, replica: Replica, count: number): Promise<void> {
  let turns = 0
  await until(
    async () =>
      (await world.db.selectFrom('delivery').selectAll().where('state', '=', 'delivered').execute()).length >=
      count,
    () => {
      turns += 1
      if (turns % 10 === 0) world.clock.advance(SECOND_MS)
      replica.wake()
    },
  )
}

test('complaint 19: what one replica posted another one changes, and the history stands in the thread', async () => {
  const world = await startWorld()
  const slack = await slackApi()
  const first = world.replica({ oncall: slack.open() })
  await world.raise(['key-1'], ['oncall'])
  await delivered(world, first, 1)
  await first.stop()
  await world.resolve(['key-1'], ['oncall'])
  await delivered(world, world.replica({ oncall: slack.open() }), 2)
  expect(slack.calls().map(({ method, ts, thread }) => ({ method, ts, thread }))).toEqual([
    { method: 'chat.postMessage', ts: undefined, thread: undefined },
    { method: 'chat.update', ts: '1712345678.000001', thread: undefined },
    { method: 'chat.postMessage', ts: undefined, thread: '1712345678.000001' },
  ])
  expect(slack.calls()[2]?.text).toContain('[RESOLVED] key key-1')
})

test('a message that stands is changed also in a flood; only what is new is told together', async () => {
  const world = await startWorld()
  const slack = await slackApi()
  const replica = world.replica({ oncall: slack.open() })
  await world.raise(['key-1'], ['oncall'])
  await delivered(world, replica, 1)
  await replica.stop()
  await world.resolve(['key-1'], ['oncall'])
  await world.raise(
    Array.from({ length: 6 }, (_, index) => `new-${index}`),
    ['oncall'],
  )
  await delivered(world, world.replica({ oncall: slack.open() }), 8)
  const calls = slack.calls()
  expect(calls.filter(({ method }) => method === 'chat.update').map(({ ts }) => ts)).toEqual([
    '1712345678.000001',
  ])
  expect(calls.filter(({ text }) => text.includes('6 incidents'))).toHaveLength(1)
  expect(calls).toHaveLength(4)
})
