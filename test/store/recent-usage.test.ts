import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { recentUsageOf } from '../../src/store/postgres/recent-usage.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

const nowMs = SOME_TIME_MS
let db: Database

beforeAll(async () => {
  db = openDatabase(await testDatabase())
  const minutesAgo = [0, 1, 4, 30, 119, 121, 300]
  const events = ['key-1', 'key-2'].flatMap((keyId) =>
    minutesAgo.flatMap((ago) =>
      ['gpt-4o', 'o3'].map((model) => enrichedEvent({ keyId, model, timestampMs: nowMs - ago * MINUTE_MS })),
    ),
  )
  const quiet = enrichedEvent({ keyId: 'quiet', timestampMs: nowMs - HOUR_MS })
  await createUsageWriter(db, new ManualClock(nowMs)).write({ events: [...events, quiet], rejected: [] })
})
afterAll(async () => db.destroy())

describe('the recent usage of one key', () => {
  test('is what a tick sees of it, cell by cell', async () => {
    const { usages } = await createEngineStore(db).look(
      { index: 0, count: 1 },
      { activeSinceMs: nowMs - 5 * MINUTE_MS, nowMs },
      {},
    )
    expect(usages).toHaveLength(2)
    for (const { key, rollups, sources } of usages)
      expect(await recentUsageOf(db, key, nowMs)).toEqual({ key, rollups, sources })
  })

  test('is known of a key that is not active now, and empty for one that is not known', async () => {
    const of = async (keyId: string) =>
      (await recentUsageOf(db, { keyId, teamId: undefined, environment: undefined }, nowMs)).rollups.length
    expect(await of('quiet')).toBe(1)
    expect(await of('nobody')).toBe(0)
  })
})
