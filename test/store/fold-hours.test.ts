import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { foldHours, MINUTES_KEPT_MS } from '../../src/store/postgres/fold-hours.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { bucketStart } from '../../src/usage/rollup.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import fc from '../harness/fast-check.ts'

const NOW = bucketStart(SOME_TIME_MS, HOUR_MS)
/** The newest hour that is folded at NOW. */
const OLD_HOUR = NOW - MINUTES_KEPT_MS - HOUR_MS
let url: string
let db: Database

beforeEach(async () => {
  url = await testDatabase()
  db = openDatabase(url)
})
afterEach(async () => db.destroy())

const write = async (...events: readonly EnrichedEvent[]): Promise<void> => {
  await createUsageWriter(db, new ManualClock(NOW)).write({ events, rejected: [] })
}
const at = (timestampMs: number, rest: Partial<EnrichedEvent> = {}): EnrichedEvent =>
  enrichedEvent({ timestampMs, ...rest })

/** As if every hour until NOW had been learnt. */
const learnAll = async (): Promise<void> => {
  await db.deleteFrom('unlearnt_hour').execute()
}

const rowsIn = async (hourMs: number): Promise<{ minute: number; requests: number }[]> => {
  const rows = await db
    .selectFrom('usage_rollup')
    .select(['bucket', 'requests'])
    .where('bucket', '>=', new Date(hourMs))
    .where('bucket', '<', new Date(hourMs + HOUR_MS))
    .orderBy('bucket')
    .execute()
  return rows.map(({ bucket, requests }) => ({ minute: (bucket.getTime() - hourMs) / MINUTE_MS, requests }))
}

const sumsByHour = async (): Promise<unknown[]> => {
  const { rows } = await sql`
    select
      date_trunc('hour', bucket, 'UTC') as hour, key_id, model, country,
      sum(requests) as requests, sum(refused) as refused, sum(input_tokens) as input, sum(output_tokens) as output,
      sum(cached_input_tokens) as cached, sum(cost_nano_usd) as cost, sum(unpriced) as unpriced
    from usage_rollup
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4`.execute(db)
  return rows
}

test('an hour of more than eight days ago becomes one row for each key, model and country; a younger one keeps its minutes', async () => {
  await write(
    ...[0, 1, 30, 59].map((minute) => at(OLD_HOUR + minute * MINUTE_MS)),
    at(OLD_HOUR + 7 * MINUTE_MS, { model: 'o3' }),
    at(OLD_HOUR + HOUR_MS + MINUTE_MS),
    at(OLD_HOUR + HOUR_MS + 2 * MINUTE_MS),
  )
  await learnAll()
  expect(await foldHours(db, NOW)).toBe(4)
  expect(await rowsIn(OLD_HOUR)).toEqual([
    { minute: 0, requests: 4 },
    { minute: 0, requests: 1 },
  ])
  expect(await rowsIn(OLD_HOUR + HOUR_MS)).toEqual([
    { minute: 1, requests: 1 },
    { minute: 2, requests: 1 },
  ])
})

test('sums by the hour are the same after it, whatever the usage, and repeating it changes nothing', async () => {
  const anyEvent = fc.record({
    minute: fc.integer({ min: 0, max: 5 * 60 }),
    keyId: fc.constantFrom('a', 'b'),
    model: fc.constantFrom('gpt-4o', 'o3'),
    statusCode: fc.constantFrom(200, 429),
    inputTokens: fc.constantFrom(0, 7, Number.MAX_SAFE_INTEGER),
    costNanoUsd: fc.constantFrom(undefined, 0, 5_000_000),
    place: fc.constantFrom(undefined, { country: 'US', latitude: 37.7, longitude: -97.8 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 60 }), async (events) => {
      await sql`truncate usage_rollup, usage_event, usage_source, unlearnt_hour`.execute(db)
      await write(
        ...events.map(({ minute, ...rest }) => at(OLD_HOUR - 4 * HOUR_MS + minute * MINUTE_MS, rest)),
      )
      await learnAll()
      const before = await sumsByHour()
      await foldHours(db, NOW)
      // What stops at 2^53 - 1 stops there once more when it is added up.
      expect(await sumsByHour()).toEqual(before.map((row) => capped(row as Record<string, unknown>)))
      expect(await foldHours(db, NOW)).toBe(0)
      const { rows } = await sql`
        select from usage_rollup where bucket < ${new Date(OLD_HOUR + HOUR_MS)} and date_part('minute', bucket) > 0`.execute(
        db,
      )
      expect(rows).toEqual([])
    }),
    { numRuns: 20 },
  )
})

function capped(row: Record<string, unknown>): Record<string, unknown> {
  return { ...row, input: Math.min(Number(row['input']), Number.MAX_SAFE_INTEGER) }
}

test('an hour that is not learnt yet keeps its minutes', async () => {
  await write(
    at(OLD_HOUR + MINUTE_MS),
    at(OLD_HOUR + 2 * MINUTE_MS),
    at(OLD_HOUR + MINUTE_MS, { keyId: 'other' }),
  )
  const profile = emptyProfile({ keyId: 'other', firstSeenMs: OLD_HOUR, timeZone: 'UTC' })
  await createEngineStore(db).saveProfiles([{ ...profile, learnedUntilMs: OLD_HOUR + HOUR_MS }])
  expect(await foldHours(db, NOW)).toBe(1)
  expect((await rowsIn(OLD_HOUR)).map(({ minute }) => minute)).toEqual([0, 1, 2])
  await createEngineStore(db).saveProfiles([
    { ...profile, keyId: 'key-1', learnedUntilMs: OLD_HOUR + HOUR_MS },
  ])
  expect(await foldHours(db, NOW)).toBe(2)
})

test('usage that comes for an hour that has been folded is folded into it', async () => {
  await write(at(OLD_HOUR + MINUTE_MS), at(OLD_HOUR + 2 * MINUTE_MS))
  await learnAll()
  await foldHours(db, NOW)
  await write(at(OLD_HOUR + 2 * MINUTE_MS), at(OLD_HOUR + 9 * MINUTE_MS), at(OLD_HOUR))
  await learnAll()
  expect(await foldHours(db, NOW)).toBe(2)
  expect(await rowsIn(OLD_HOUR)).toEqual([{ minute: 0, requests: 5 }])
})

test('a batch that is about to add to such an hour is waited for briefly, and the hour is left for the next time', async () => {
  await write(at(OLD_HOUR + MINUTE_MS), at(OLD_HOUR + 2 * MINUTE_MS))
  await learnAll()
  const other = openDatabase(url, { connectionsMax: 1 })
  await other.transaction().execute(async (trx) => {
    await sql`update usage_rollup set requests = requests + 1 where bucket = ${new Date(OLD_HOUR + 2 * MINUTE_MS)}`.execute(
      trx,
    )
    expect(await foldHours(db, NOW)).toBe(0)
    // Nothing is held that the batch could wait for.
    await sql`update usage_rollup set requests = requests + 1 where bucket = ${new Date(OLD_HOUR + MINUTE_MS)}`.execute(
      trx,
    )
  })
  expect(await foldHours(db, NOW)).toBe(2)
  expect(await rowsIn(OLD_HOUR)).toEqual([{ minute: 0, requests: 4 }])
  await other.destroy()
})

test('while others add to the same hours, every request is counted once and nobody fails', async () => {
  const writers = [1, 2].map(() => openDatabase(url, { connectionsMax: 1 }))
  let sent = 0
  const work = new AbortController()
  const adding = writers.map(async (writer, index) => {
    for (let batch = 0; batch < 15; batch += 1) {
      const events = Array.from({ length: 200 }, (_, n) =>
        at(OLD_HOUR - (n % 3) * HOUR_MS + ((n * 7 + batch + index) % 60) * MINUTE_MS, {
          keyId: `key-${n % 20}`,
        }),
      )
      const { inserted } = await createUsageWriter(writer, new ManualClock(NOW)).write({
        events,
        rejected: [],
      })
      sent += inserted
      await learnAll()
    }
  })
  const folding = (async () => {
    while (!work.signal.aborted) {
      await foldHours(db, NOW)
      await delay(1)
    }
  })()
  await Promise.all(adding)
  work.abort()
  await folding
  await learnAll()
  await foldHours(db, NOW + DAY_MS)
  expect(sent).toBe(2 * 15 * 200)
  const { rows } = await sql`select sum(requests) as requests, count(*) as rows from usage_rollup`.execute(db)
  // Three hours of twenty keys.
  expect(rows).toEqual([{ requests: sent, rows: 60 }])
  await Promise.all(writers.map((writer) => writer.destroy()))
})
