import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { lastHourPricing, readHealthFacts, usualRequests } from '../../src/store/postgres/self-signals.ts'
import { claimTick } from '../../src/store/postgres/tick-claim.ts'
import { noteTickSuccess, oldestTickSuccess } from '../../src/store/postgres/tick-success.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { raiseAlert } from '../notify/outbox.ts'

const NOW = SOME_TIME_MS + 30_000
let db: Database
beforeAll(async () => {
  db = openDatabase(await testDatabase())
})
afterAll(async () => {
  await db.destroy()
})

async function write(events: readonly Partial<EnrichedEvent>[]): Promise<void> {
  const writer = createUsageWriter(db, { nowMs: () => NOW })
  await writer.write({ events: events.map((event) => enrichedEvent(event)), rejected: [] })
}

test('an empty database knows of nothing that is wrong, and of no usage', async () => {
  expect(await readHealthFacts(db, NOW)).toEqual({
    newestUsageMs: undefined,
    oldestUsageMs: undefined,
    overdue: 0,
    oldestDueMs: undefined,
    rejected: 0,
    commonestReason: undefined,
    failedRevocations: 0,
    halts: [],
  })
  expect(await oldestTickSuccess(db, { shards: 2, sinceMs: NOW })).toEqual({
    oldestSuccessMs: NOW,
    haveRun: false,
  })
})

test('usage is as new as its newest minute, and what lies in the future does not count', async () => {
  await write([{ timestampMs: SOME_TIME_MS - 20 * MINUTE_MS }, { timestampMs: NOW + 4 * MINUTE_MS }])
  const { newestUsageMs, oldestUsageMs } = await readHealthFacts(db, NOW)
  expect(newestUsageMs).toBe(SOME_TIME_MS - 19 * MINUTE_MS)
  expect(oldestUsageMs).toBe(SOME_TIME_MS - 20 * MINUTE_MS)
})

test('usual is what a week ago was; with less history a day ago; else what came just before', async () => {
  const fromMs = SOME_TIME_MS - 10 * MINUTE_MS
  const span = { fromMs, nowMs: SOME_TIME_MS }
  const at = (ms: number, count: number) =>
    Array.from({ length: count }, () => ({ timestampMs: ms, model: 'usual' }))
  await write([
    ...at(fromMs - WEEK_MS + MINUTE_MS, 7),
    ...at(fromMs - DAY_MS + MINUTE_MS, 5),
    ...at(fromMs - 5 * MINUTE_MS, 3),
  ])
  expect(await usualRequests(db, { ...span, oldestMs: fromMs - WEEK_MS })).toBe(7)
  expect(await usualRequests(db, { ...span, oldestMs: fromMs - 2 * DAY_MS })).toBe(5)
  expect(await usualRequests(db, { ...span, oldestMs: fromMs - HOUR_MS })).toBe(4)
})

test('the share without a price is that of the successful requests of the last hour', async () => {
  const [unpriced, refused] = [
    { costNanoUsd: undefined, model: 'house' },
    { statusCode: 429, model: 'house' },
  ]
  await write([
    { ...unpriced, timestampMs: NOW - MINUTE_MS },
    { ...unpriced, timestampMs: NOW - MINUTE_MS },
    { ...unpriced, ...refused, timestampMs: NOW - MINUTE_MS },
    { timestampMs: NOW - MINUTE_MS, model: 'priced' },
    { ...unpriced, timestampMs: NOW - 2 * HOUR_MS },
  ])
  const { requests, unpriced: without, models } = await lastHourPricing(db, NOW)
  expect([without, models]).toEqual([2, ['house']])
  expect(requests).toBeGreaterThanOrEqual(3)
})

test('refused events of the last quarter of an hour are counted, with the commonest reason', async () => {
  const row = (index: number, reason: string, ageMs: number) => ({
    jobId: 'job',
    index,
    receivedAt: new Date(NOW - ageMs),
    reason,
    payload: { index },
  })
  await createUsageWriter(db, { nowMs: () => NOW }).write({
    events: [],
    rejected: [
      row(0, 'model: missing', MINUTE_MS),
      row(1, 'timestamp: no instant', MINUTE_MS),
      row(2, 'timestamp: no instant', 14 * MINUTE_MS),
      row(3, 'model: missing', 16 * MINUTE_MS),
    ],
  })
  expect(await readHealthFacts(db, NOW)).toMatchObject({
    rejected: 3,
    commonestReason: 'timestamp: no instant',
  })
})

test('a message that is due is overdue until somebody tries to send it', async () => {
  await raiseAlert(db, { keyId: 'key-1', channels: ['oncall'], nowMs: NOW - 7 * MINUTE_MS })
  expect(await readHealthFacts(db, NOW)).toMatchObject({ overdue: 1, oldestDueMs: NOW - 7 * MINUTE_MS })
  await db.updateTable('delivery').set({ attempts: 1 }).execute()
  expect(await readHealthFacts(db, NOW)).toMatchObject({ overdue: 0, oldestDueMs: undefined })
})

test('messages of a channel that is broken, pauses, or works off a flood are not overdue', async () => {
  await db.updateTable('delivery').set({ attempts: 0 }).execute()
  const overdueWith = async (state: object): Promise<number> => {
    await db.deleteFrom('channel_state').execute()
    await db
      .insertInto('channel_state')
      .values({ channel: 'oncall', ...state })
      .execute()
    return (await readHealthFacts(db, NOW)).overdue
  }
  expect(await overdueWith({ last_delivered_at: new Date(NOW - HOUR_MS) })).toBe(1)
  expect(await overdueWith({ broken_at: new Date(NOW) })).toBe(0)
  expect(await overdueWith({ failing_since: new Date(NOW) })).toBe(0)
  expect(await overdueWith({ free_at: new Date(NOW + 1) })).toBe(0)
  expect(await overdueWith({ last_delivered_at: new Date(NOW - 10_000) })).toBe(0)
})

test('a halt of revocations is known with its reason until it ends', async () => {
  const halt = { id: crypto.randomUUID(), cause: 'operator', reason: 'release night', actor: 'ann' } as const
  await db
    .insertInto('response_halt')
    .values({ ...halt, started_at: new Date(NOW) })
    .execute()
  expect((await readHealthFacts(db, NOW)).halts).toEqual(['release night'])
  await db
    .updateTable('response_halt')
    .set({ ended_at: new Date(NOW), ended_by: 'ann' })
    .execute()
  expect((await readHealthFacts(db, NOW)).halts).toEqual([])
})

test('a key whose revocation failed counts until a later one stands, and for a day', async () => {
  const revocations = createRevocationStore(db)
  const wish = { keyId: 'key-9', reason: 'stolen', actor: 'cli:ann', nowMs: NOW - HOUR_MS }
  const { id } = await revocations.requestRevoke(wish)
  await revocations.claimDue({ nowMs: NOW - HOUR_MS, limit: 1, leaseMs: MINUTE_MS })
  await revocations.settle(id, { kind: 'failed', error: 'answered 404' }, NOW - HOUR_MS)
  const failed = async (nowMs: number): Promise<number> =>
    (await readHealthFacts(db, nowMs)).failedRevocations
  expect(await failed(NOW)).toBe(1)
  expect(await failed(NOW + DAY_MS)).toBe(0)
  await revocations.requestRevoke({ ...wish, nowMs: NOW })
  expect(await failed(NOW)).toBe(0)
})

test('ticks are as old as those of the shard that waited longest for one that ran to its end', async () => {
  const shard = (index: number) => ({ index, count: 2 })
  const ticks = () => oldestTickSuccess(db, { shards: 2, sinceMs: NOW })
  await claimTick(db, shard(0), NOW)
  await claimTick(db, shard(1), NOW)
  await noteTickSuccess(db, shard(0), NOW - 40_000)
  expect(await ticks()).toEqual({ oldestSuccessMs: NOW - 40_000, haveRun: false })
  await noteTickSuccess(db, shard(1), NOW - 10_000)
  expect(await ticks()).toEqual({ oldestSuccessMs: NOW - 40_000, haveRun: true })
  await noteTickSuccess(db, shard(0), NOW)
  // A slow tick that ends late does not turn the time back.
  await noteTickSuccess(db, shard(0), NOW - 60_000)
  expect(await ticks()).toEqual({ oldestSuccessMs: NOW - 10_000, haveRun: true })
})
