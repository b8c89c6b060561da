import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { Secret } from '../../src/secret.ts'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { takeTurn } from '../../src/store/postgres/duty.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { startHeartbeat } from '../../src/watch/heartbeat.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { eventually } from '../e2e/keyhound-process.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function rig({ replicas = 1, allowPrivate = ['127.0.0.0/8'] } = {}) {
  const sink = await startHttpSink()
  const db = openDatabase(await testDatabase())
  const fetch = outboundFetch({ allowPrivate })
  const clock = new ManualClock(SOME_TIME_MS)
  const state = { alive: true, turns: 0, asked: 0 }
  closing.push(
    () => sink.close(),
    () => db.destroy(),
    () => fetch.close(),
  )
  const hearts = Array.from({ length: replicas }, () =>
    startHeartbeat({
      settings: () => ({ url: new Secret(`${sink.url}/ping/secret-check`), every: MINUTE_MS }),
      isAlive: () => {
        state.asked += 1
        return state.alive
      },
      takeTurn: async (turnMs) => {
        const isMine = await takeTurn(db, 'heartbeat', turnMs)
        state.turns += 1
        return isMine
      },
      fetch: () => fetch,
      clock,
      log: pino({ level: 'silent' }),
    }),
  )
  closing.push(() => Promise.all(hearts.map((heart) => heart.stop())))
  const wakeAll = (): void => hearts.forEach((heart) => heart.wake())
  return { sink, clock, state, hearts, wakeAll }
}

const paths = (sink: HttpSink): string[] => sink.requests.map(({ method, path }) => `${method} ${path}`)

describe('the heartbeat', () => {
  test('is one call a minute, however many replicas there are', async () => {
    const { sink, clock, state, wakeAll } = await rig({ replicas: 3 })
    await sink.waitFor(1)
    await eventually('all have asked for the turn', () => state.turns === 3)
    clock.advance(MINUTE_MS)
    wakeAll()
    await sink.waitFor(2)
    await eventually('all have asked for the turn', () => state.turns === 6)
    expect(paths(sink)).toEqual(['GET /ping/secret-check', 'GET /ping/secret-check'])
  })

  test('stops while keyhound is not known to do its work, and comes back with it', async () => {
    const { sink, clock, state, wakeAll } = await rig()
    await sink.waitFor(1)
    state.alive = false
    clock.advance(10 * MINUTE_MS)
    const before = state.asked
    wakeAll()
    await eventually('it has looked', () => state.asked > before)
    expect(sink.requests).toHaveLength(1)
    state.alive = true
    clock.advance(MINUTE_MS)
    wakeAll()
    await sink.waitFor(2)
    // The ten silent minutes are not made up for.
    expect(sink.requests).toHaveLength(2)
  })

  test('counts calls that fail, says why without the address, and starts anew with one that is taken', async () => {
    const { sink, clock, hearts, wakeAll } = await rig()
    const [heart] = hearts
    sink.answerNext({ status: 500 }, { reset: true })
    await eventually('the first has failed', () => heart?.signal()?.failures === 1)
    expect(heart?.signal()?.error).toBe('answered 500')
    clock.advance(MINUTE_MS)
    wakeAll()
    await eventually('the second has failed', () => heart?.signal()?.failures === 2)
    expect(heart?.signal()?.error).not.toContain('secret-check')
    clock.advance(MINUTE_MS)
    wakeAll()
    await eventually('the third is taken', () => heart?.signal()?.failures === 0)
  })

  test('does not call an address inside the network that nobody allowed', async () => {
    const { sink, hearts } = await rig({ allowPrivate: [] })
    await eventually('it has failed', () => hearts[0]?.signal()?.failures === 1)
    expect(hearts[0]?.signal()?.error).toContain('not a public one')
    expect(sink.requests).toEqual([])
  })
})
