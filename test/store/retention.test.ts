import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createDeliveryStore } from '../../src/store/postgres/delivery-store.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { runRetention } from '../../src/store/postgres/retention.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, planAt } from './decisions.ts'

const NOW = SOME_TIME_MS
const SETTINGS = {
  eventsMs: 35 * DAY_MS,
  rollupsMs: 100 * DAY_MS,
  rejectedMs: 14 * DAY_MS,
  deliveriesMs: 35 * DAY_MS,
}
const NOTHING = { partitions: [], events: 0, rollups: 0, folded: 0, sources: 0, rejected: 0, deliveries: 0 }
let url: string
let db: Database

beforeEach(async () => {
  url = await testDatabase()
  db = openDatabase(url)
})

afterEach(async () => {
  await db.destroy()
})

test('partitions of the days to come are made ahead', async () => {
  expect(await runRetention(db, SETTINGS, NOW)).toEqual(NOTHING)
  const { rows } = await sql<{ name: string }>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = 'usage_event'::regclass`.execute(
    db,
  )
  expect(rows.map((row) => row.name).toSorted()).toEqual([
    'usage_event_20260304',
    'usage_event_20260305',
    'usage_event_20260306',
    'usage_event_default',
  ])
})

test('what is older than its retention goes, what is younger stays, and repeating it changes nothing', async () => {
  const days = [34, 36, 99, 101]
  await createUsageWriter(db, new ManualClock(NOW)).write({
    events: days.map((day) => enrichedEvent({ timestampMs: NOW - day * DAY_MS })),
    rejected: [13, 15].map((day) => ({
      jobId: String(day),
      index: 0,
      receivedAt: new Date(NOW - day * DAY_MS),
      reason: 'bad',
      payload: undefined,
    })),
  })
  expect(await runRetention(db, SETTINGS, NOW)).toEqual({
    partitions: ['usage_event_20260127'],
    events: 2,
    rollups: 1,
    folded: 0,
    sources: 1,
    rejected: 1,
    deliveries: 0,
  })
  const events = await db.selectFrom('usage_event').select('ts').execute()
  expect(events).toEqual([{ ts: new Date(NOW - 34 * DAY_MS) }])
  expect(await db.selectFrom('usage_rollup').select('bucket').execute()).toHaveLength(3)
  expect(await db.selectFrom('unlearnt_hour').select('hour').execute()).toHaveLength(3)
  expect(await runRetention(db, SETTINGS, NOW)).toEqual(NOTHING)
})

test('usage per address goes after three days, and not before its hour is learnt', async () => {
  const days = [2, 4, 5]
  await createUsageWriter(db, new ManualClock(NOW)).write({
    events: days.map((day) => enrichedEvent({ timestampMs: NOW - day * DAY_MS })),
    rejected: [],
  })
  expect(await runRetention(db, SETTINGS, NOW)).toEqual(NOTHING)
  const learnedUntilMs = NOW - 5 * DAY_MS + HOUR_MS
  const profile = emptyProfile({ keyId: 'key-1', firstSeenMs: NOW - 5 * DAY_MS, timeZone: 'UTC' })
  await createEngineStore(db).saveProfiles([{ ...profile, learnedUntilMs }])
  expect(await runRetention(db, SETTINGS, NOW)).toEqual({ ...NOTHING, sources: 1 })
  await createEngineStore(db).saveProfiles([{ ...profile, learnedUntilMs: NOW }])
  expect(await runRetention(db, SETTINGS, NOW)).toEqual({ ...NOTHING, sources: 1 })
  const left = await db.selectFrom('usage_source').select('bucket').execute()
  expect(left).toEqual([{ bucket: new Date(NOW - 2 * DAY_MS) }])
})

test('deliveries go when they are settled and their incident is closed, and not before', async () => {
  const engine = createEngineStore(db)
  const { opened } = await engine.commit(decisions([finding(), finding({ keyId: 'open' })]), planAt(NOW))
  const deliveries = createDeliveryStore(db)
  const claimed = await deliveries.claimDue({ nowMs: NOW + MINUTE_MS, limit: 10, leaseMs: MINUTE_MS })
  for (const { id } of claimed)
    await deliveries.settle(id, { kind: 'delivered', receipt: 'ok' }, NOW + MINUTE_MS)
  const resolved = opened.filter(({ keyId }) => keyId === 'key-1').map(({ id }) => id)
  await engine.commit(decisions([], { at: 2 * MINUTE_MS, resolved }), planAt(NOW))
  expect(await runRetention(db, SETTINGS, NOW + 34 * DAY_MS)).toMatchObject({ deliveries: 0 })
  expect(await runRetention(db, SETTINGS, NOW + 36 * DAY_MS)).toMatchObject({ deliveries: 1 })
  // The message that never went out, and that of the incident that is still open.
  const left = await db.selectFrom('delivery').select(['type', 'state']).orderBy('type').execute()
  expect(left).toEqual([
    { type: 'alert.opened', state: 'delivered' },
    { type: 'alert.resolved', state: 'pending' },
  ])
})

test('one replica does it while the others leave it alone', async () => {
  const pools = Array.from({ length: 3 }, () => openDatabase(url, { connectionsMax: 3 }))
  const holder = openDatabase(url, { connectionsMax: 1 })
  await holder.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(1801812328, 2)`.execute(connection)
    const results = await Promise.all(pools.map((pool) => runRetention(pool, SETTINGS, NOW)))
    expect(results).toEqual([undefined, undefined, undefined])
    await sql`select pg_advisory_unlock(1801812328, 2)`.execute(connection)
  })
  expect(await runRetention(db, SETTINGS, NOW)).toEqual(NOTHING)
  await Promise.all([holder, ...pools].map((pool) => pool.destroy()))
})

test('a partition that somebody reads is dropped the next time, and events are stored meanwhile', async () => {
  const writer = createUsageWriter(db, new ManualClock(NOW))
  await runRetention(db, SETTINGS, NOW) // makes the partitions to come
  const old = enrichedEvent({ timestampMs: NOW - 40 * DAY_MS })
  await writer.write({ events: [old], rejected: [] })
  const reader = openDatabase(url, { connectionsMax: 1 })
  await reader.transaction().execute(async (trx) => {
    await trx.selectFrom('usage_event').select('ts').execute()
    const busy = await runRetention(db, SETTINGS, NOW)
    expect(busy?.partitions).toEqual([])
    expect(await writer.write({ events: [enrichedEvent()], rejected: [] })).toMatchObject({ inserted: 1 })
  })
  expect((await runRetention(db, SETTINGS, NOW))?.partitions).toEqual(['usage_event_20260123'])
  await reader.destroy()
})

test('while a partition cannot be dropped, events are stored between the tries', async () => {
  const writer = createUsageWriter(db, new ManualClock(NOW))
  await runRetention(db, SETTINGS, NOW) // makes the partitions to come
  await writer.write({ events: [enrichedEvent({ timestampMs: NOW - 40 * DAY_MS })], rejected: [] })
  const reader = openDatabase(url, { connectionsMax: 1 })
  const dropWaits = async () => {
    const { rows } = await sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like 'drop table%'`.execute(
      db,
    )
    expect(rows).toHaveLength(1)
  }
  await reader.transaction().execute(async (trx) => {
    await trx.selectFrom('usage_event').select('ts').execute()
    const retention = runRetention(db, SETTINGS, NOW)
    await vi.waitFor(dropWaits, { interval: 10 })
    expect(await writer.write({ events: [enrichedEvent()], rejected: [] })).toMatchObject({ inserted: 1 })
    await vi.waitFor(dropWaits, { interval: 10 })
    expect((await retention)?.partitions).toEqual([])
  })
  await reader.destroy()
})
