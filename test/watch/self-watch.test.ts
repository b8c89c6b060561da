import pg from 'pg'
import { pino } from 'pino'
import { inject } from 'vitest'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { Channel } from '../../src/notify/channel.ts'
import { webhookChannel } from '../../src/notify/channels/webhook.ts'
import { openDatabase, pingDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createSelfAlertStore } from '../../src/store/postgres/self-alert-store.ts'
import { lastHourPricing, readHealthFacts, usualRequests } from '../../src/store/postgres/self-signals.ts'
import { noteTickSuccess, oldestTickSuccess } from '../../src/store/postgres/tick-success.ts'
import { claimTick } from '../../src/store/postgres/tick-claim.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { SignalGatherer } from '../../src/watch/gather-signals.ts'
import { memorySelfAlerts } from '../../src/watch/memory-self-alerts.ts'
import { startSelfWatch } from '../../src/watch/self-watch.ts'
import { startTelling } from '../../src/watch/tell.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { openChannel } from '../notify/channel-contract.ts'
import { eventually } from '../e2e/keyhound-process.ts'
import { DEFAULTS } from './signals.ts'

const log = pino({ level: 'silent' })
const SHARD = { index: 0, count: 1 }
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** A sink of webhooks, and what it was told: `problem ticks_late`. */
async function sinkOf(): Promise<HttpSink & { told(): string[] }> {
  const sink = await startHttpSink()
  closing.push(() => sink.close())
  return Object.assign(sink, {
    told: () =>
      sink.requests.map(({ body }) => {
        const { type, data } = JSON.parse(body) as { type: string; data: { notice: { topic: string } } }
        return `${type.replace('keyhound.', '')} ${data.notice.topic}`
      }),
  })
}

function webhookTo(sink: HttpSink): Channel {
  return openChannel(webhookChannel, { url: `${sink.url}/in`, secret: 'a-secret-of-the-right-length' })
}

/** What a replica does about its own health, with the real database and real channels; time is the test's. */
function replica(
  db: Database,
  {
    clock,
    channels,
    named = [],
  }: { clock: ManualClock; channels: Record<string, Channel>; named?: string[] },
) {
  const own = memorySelfAlerts()
  const shared = createSelfAlertStore(db)
  let failedPings = 0
  const gatherer = new SignalGatherer({
    pingDatabase: () =>
      pingDatabase(db).catch((error: unknown) => {
        failedPings += 1
        throw error
      }),
    pingQueue: () => Promise.resolve(),
    jobCounts: () => Promise.resolve({ waiting: 0, delayed: 0, active: 0, failed: 0, completed: 0 }),
    healthFacts: (nowMs) => readHealthFacts(db, nowMs),
    usualRequests: (span) => usualRequests(db, span),
    ticks: async () => ({
      ...(await oldestTickSuccess(db, { shards: 1, sinceMs: SOME_TIME_MS })),
      tickMs: 10_000,
    }),
    pricing: (nowMs) => lastHourPricing(db, nowMs),
    detectors: () => undefined,
    heartbeat: () => undefined,
    policyActs: () => true,
    clock,
  })
  const telling = startTelling({
    outboxes: [own, shared],
    channels: () => new Map(Object.entries(channels)),
    clock,
    log,
  })
  const watch = startSelfWatch({
    signals: () => gatherer.gather(),
    shared,
    own,
    settings: () => ({ ...DEFAULTS, channels: named }),
    channelNames: () => Object.keys(channels),
    clock,
    log,
    onMoves: () => telling.wake(),
    everyMs: 50,
  })
  closing.push(async () => {
    await watch.stop()
    await telling.stop()
  })
  return Object.assign(watch, { failedPings: () => failedPings })
}

async function databaseOf(): Promise<{ db: Database; url: string }> {
  const url = await testDatabase()
  const db = openDatabase(url)
  closing.push(() => db.destroy())
  return { db, url }
}

/** Lets the database take connections, or none, as during a failover. */
async function allowConnections(url: string, allow: boolean): Promise<void> {
  const name = new URL(url).pathname.slice(1)
  const admin = new pg.Client({ connectionString: inject('adminDatabaseUrl') })
  await admin.connect()
  try {
    await admin.query(`alter database ${name} with allow_connections ${allow}`)
    if (!allow) {
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
    }
  } finally {
    await admin.end()
  }
}

describe('keyhound watches itself', () => {
  test('three replicas tell once that no detector runs, and once that it is over', async () => {
    const { db } = await databaseOf()
    const sink = await sinkOf()
    const clock = new ManualClock(SOME_TIME_MS)
    await claimTick(db, SHARD, SOME_TIME_MS)
    await noteTickSuccess(db, SHARD, SOME_TIME_MS)
    const watches = [1, 2, 3].map(() =>
      replica(db, { clock, channels: { siem: webhookTo(sink) }, named: ['siem'] }),
    )
    await eventually('all know that it is alive', () => watches.every((watch) => watch.isAlive()))

    // Ticks are begun and fail: the claim alone is no success.
    clock.advance(2 * MINUTE_MS)
    await claimTick(db, SHARD, clock.nowMs())
    await sink.waitFor(1)
    await eventually('all know that it is not', () => watches.every((watch) => !watch.isAlive()))
    expect(sink.told()).toEqual(['problem ticks_late'])

    await noteTickSuccess(db, SHARD, clock.nowMs())
    await eventually('all know that it is alive', () => watches.every((watch) => watch.isAlive()))
    expect(sink.told()).toHaveLength(1)
    // Ticks go on: noted first, for the replicas look at any moment.
    await noteTickSuccess(db, SHARD, clock.nowMs() + 90 * SECOND_MS)
    clock.advance(90 * SECOND_MS)
    await sink.waitFor(2)
    await eventually('every replica has looked again', async () => {
      const rows = await db.selectFrom('self_notice').select('state').execute()
      return rows.every(({ state }) => state === 'delivered')
    })
    expect(sink.told()).toEqual(['problem ticks_late', 'recovered ticks_late'])
  })

  test('what is wrong while the database is away is told all the same, and its end when it is back', async () => {
    const { db, url } = await databaseOf()
    const sink = await sinkOf()
    const clock = new ManualClock(SOME_TIME_MS)
    await claimTick(db, SHARD, SOME_TIME_MS)
    await noteTickSuccess(db, SHARD, SOME_TIME_MS)
    const watch = replica(db, { clock, channels: { siem: webhookTo(sink) } })
    await eventually('it is alive', () => watch.isAlive())

    await allowConnections(url, false)
    // A look that was under way may have got its ping answered, and lost the rest: then it is not alive, and not yet down.
    await eventually('it has noticed', () => watch.failedPings() > 0 && !watch.isAlive())
    expect(watch.isBlind()).toBe(true)
    expect(sink.told()).toEqual([])
    clock.advance(MINUTE_MS)
    await sink.waitFor(1)
    expect(sink.told()).toEqual(['problem database_unreachable'])

    await allowConnections(url, true)
    await noteTickSuccess(db, SHARD, clock.nowMs())
    await eventually('it is alive again', () => watch.isAlive())
    // Ticks go on: noted first, for the replicas look at any moment.
    await noteTickSuccess(db, SHARD, clock.nowMs() + 90 * SECOND_MS)
    clock.advance(90 * SECOND_MS)
    await sink.waitFor(2)
    expect(sink.told()).toEqual(['problem database_unreachable', 'recovered database_unreachable'])
  })

  test('without named channels the first one that takes it is told, and no other', async () => {
    const { db } = await databaseOf()
    const [dead, alive, third] = [await sinkOf(), await sinkOf(), await sinkOf()]
    dead.answerAlways({ status: 410 })
    const clock = new ManualClock(SOME_TIME_MS)
    const channels = { dead: webhookTo(dead), alive: webhookTo(alive), third: webhookTo(third) }
    replica(db, { clock, channels })
    clock.advance(3 * MINUTE_MS)
    await alive.waitFor(1)
    expect([dead.told(), alive.told(), third.told()]).toEqual([
      ['problem ticks_late'],
      ['problem ticks_late'],
      [],
    ])
  })

  test('complaint 16: a named channel that refuses three times does not end it: another one is told instead', async () => {
    const { db } = await databaseOf()
    const [dead, other] = [await sinkOf(), await sinkOf()]
    dead.answerAlways({ status: 500 })
    const clock = new ManualClock(SOME_TIME_MS)
    replica(db, { clock, channels: { dead: webhookTo(dead), other: webhookTo(other) }, named: ['dead'] })
    const noted = (tries: number) =>
      eventually(`try ${tries} has been noted`, async () => {
        const rows = await db.selectFrom('self_notice').select(['attempts', 'locked_until']).execute()
        return rows.some(({ attempts, locked_until: lease }) => attempts === tries && lease === null)
      })
    clock.advance(3 * MINUTE_MS)
    await noted(1)
    clock.advance(MINUTE_MS)
    await noted(2)
    expect([dead.requests.length, other.requests.length]).toEqual([2, 0])
    clock.advance(MINUTE_MS)
    await other.waitFor(1)
    expect(other.told()).toEqual(['problem ticks_late'])
    expect(new Set(dead.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })
})
