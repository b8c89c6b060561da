import { afterAll, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { EngineStore } from '../../src/store/engine-store.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { Rollup } from '../../src/usage/rollup.ts'
import fc from '../harness/fast-check.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { engineStoreContract } from './engine-store-contract.ts'

const databases: Database[] = []
afterAll(async () => {
  await Promise.all(databases.map((db) => db.destroy()))
})

engineStoreContract('Postgres', async () => {
  const db = openDatabase(await testDatabase())
  databases.push(db)
  const writer = createUsageWriter(db, new ManualClock(SOME_TIME_MS))
  return {
    store: createEngineStore(db, { settleMs: 0 }),
    add: async (events) => {
      await writer.write({ events, rejected: [] })
    },
  }
})

engineStoreContract('memory', () => {
  const store = new MemoryEngineStore()
  return Promise.resolve({
    store,
    add: (events) => {
      for (const event of events) store.add(event)
      return Promise.resolve()
    },
  })
})

test('Postgres and memory say the same of any usage', async () => {
  const db = openDatabase(await testDatabase())
  databases.push(db)
  const postgres = createEngineStore(db, { settleMs: 0 })
  const writer = createUsageWriter(db, new ManualClock(SOME_TIME_MS))
  const memory = new MemoryEngineStore()
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(someUsage, { minLength: 1, maxLength: 40 }), async (usage) => {
      runs += 1
      const keyId = `key-${runs}`
      const events = usage.map((each) => enrichedEvent({ ...each, keyId }))
      for (let from = 0; from < events.length; from += 7)
        await writer.write({ events: events.slice(from, from + 7), rejected: [] })
      for (const event of events) memory.add(event)
      const [stored, remembered] = await Promise.all([tellOf(postgres, keyId), tellOf(memory, keyId)])
      expect(remembered).toEqual(stored)
    }),
    { numRuns: 30 },
  )
})

const someUsage = fc
  .record({
    minutesAgo: fc.oneof(fc.integer({ min: -9, max: 25 }), fc.integer({ min: 0, max: 200 })),
    second: fc.integer({ min: 0, max: 59 }),
    model: fc.constantFrom('a', 'b'),
    address: fc.constantFrom(
      { ip: '203.0.113.7', place: { country: 'US', latitude: 37.751, longitude: -97.822 } },
      { ip: '2001:db8::7', place: { country: 'RO', latitude: 0, longitude: 0 } },
      { ip: '10.0.0.7', place: undefined },
      { ip: undefined, place: undefined },
    ),
    costNanoUsd: fc.option(fc.nat(1_000_000), { nil: undefined }),
    statusCode: fc.constantFrom(200, 200, 429),
  })
  .map(({ minutesAgo, second, address, ...event }) => ({
    ...event,
    ...address,
    timestampMs: SOME_TIME_MS - minutesAgo * MINUTE_MS + second * 1_000,
  }))

/** All that a store says of the usage of a key; only the order of the cells of one bucket is its own. */
async function tellOf(store: EngineStore, keyId: string): Promise<unknown> {
  const whole = { index: 0, count: 1 }
  const range = { activeSinceMs: SOME_TIME_MS - 30 * MINUTE_MS, nowMs: SOME_TIME_MS }
  const { usages } = await store.look(whole, range, {})
  const hours = await store.unlearntHours(whole, { beforeMs: SOME_TIME_MS + HOUR_MS, limit: 1_000 })
  return [...usages.map(({ key, rollups, sources }) => ({ key, rollups, sources })), ...hours]
    .filter(({ key }) => key.keyId === keyId)
    .map((each) => ({ ...each, rollups: each.rollups.toSorted(byCell) }))
}

function byCell(a: Rollup, b: Rollup): number {
  const cell = ({ bucketMs, model, country }: Rollup) => `${bucketMs} ${model} ${country ?? ''}`
  return cell(a) < cell(b) ? -1 : 1
}
