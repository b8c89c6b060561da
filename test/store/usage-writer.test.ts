import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { insertUsage } from '../../src/store/postgres/insert-usage.ts'
import { toRollup, toSource } from '../../src/store/postgres/key-row.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { StoreUnavailableError, type UsageWriter } from '../../src/store/usage-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { addTotals, bucketStart, NO_USAGE, totalsOf, type Rollup } from '../../src/usage/rollup.ts'
import { addSource, sourceOf, type SourceUsage } from '../../src/usage/source.ts'
import fc from '../harness/fast-check.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

const clock = new ManualClock(SOME_TIME_MS)
let url: string
let db: Database
let writer: UsageWriter

beforeAll(async () => {
  url = await testDatabase()
  db = openDatabase(url)
  writer = createUsageWriter(db, clock)
})

afterAll(async () => {
  await db.destroy()
})

let keys = 0
/** A key that no other test uses. */
function freshKey(): string {
  keys += 1
  return `key-${keys}`
}

const write = (events: readonly EnrichedEvent[]) => writer.write({ events, rejected: [] })

describe('an event', () => {
  test('is stored whole', async () => {
    const keyId = freshKey()
    const event = enrichedEvent({
      keyId,
      teamId: 'team "a"',
      userId: "o'brien",
      environment: 'prod\\eu',
      metadata: { note: '{"quoted": "\\"}', empty: '' },
      costEstimated: true,
      cachedInputTokens: 7,
    })
    expect(await write([event])).toEqual({ inserted: 1, duplicates: 0 })
    expect(await db.selectFrom('usage_event').selectAll().where('key_id', '=', keyId).execute()).toEqual([
      {
        key_id: keyId,
        event_id: event.id,
        ts: new Date(event.timestampMs),
        model: 'gpt-4o-mini',
        provider: 'openai',
        ip: '8.8.8.8',
        country: 'US',
        latitude: 37.751,
        longitude: -97.822,
        input_tokens: 1_000,
        output_tokens: 200,
        cached_input_tokens: 7,
        cost_nano_usd: 270_000,
        cost_estimated: true,
        status_code: 200,
        latency_ms: 640,
        team_id: 'team "a"',
        user_id: "o'brien",
        environment: 'prod\\eu',
        metadata: { note: '{"quoted": "\\"}', empty: '' },
      },
    ])
  })

  test('that says little is stored with nothing made up: an unknown cost is not a cost of 0', async () => {
    const keyId = freshKey()
    const nothing = {
      provider: undefined,
      ip: undefined,
      place: undefined,
      costNanoUsd: undefined,
      latencyMs: undefined,
    }
    await write([enrichedEvent({ keyId, ...nothing })])
    const row = await db
      .selectFrom('usage_event')
      .selectAll()
      .where('key_id', '=', keyId)
      .executeTakeFirstOrThrow()
    expect(row).toMatchObject({
      provider: null,
      ip: null,
      country: null,
      cost_nano_usd: null,
      latency_ms: null,
    })
    expect(await rollupsOf(keyId)).toMatchObject([{ country: undefined, costNanoUsd: 0, unpriced: 1 }])
    expect(await sourcesOf(keyId)).toEqual([])
  })

  test('counts once when it comes again: in the same batch, in a later one, and with a new timestamp', async () => {
    const keyId = freshKey()
    const event = enrichedEvent({ keyId })
    expect(await write([event, event])).toEqual({ inserted: 1, duplicates: 1 })
    expect(await write([event])).toEqual({ inserted: 0, duplicates: 1 })
    const restamped = [
      { ...event, timestampMs: event.timestampMs + 5_000 },
      { ...event, timestampMs: event.timestampMs - 3 * HOUR_MS },
      { ...event, timestampMs: event.timestampMs + DAY_MS },
    ]
    expect(await write(restamped)).toEqual({ inserted: 0, duplicates: 3 })
    expect((await rollupsOf(keyId)).map((rollup) => rollup.requests)).toEqual([1])
    expect((await sourcesOf(keyId)).map((source) => source.requests)).toEqual([1])
  })

  test('with a new timestamp counts once also when both deliveries are written at the same time', async () => {
    const keyId = freshKey()
    const event = enrichedEvent({ keyId })
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        write([{ ...event, timestampMs: event.timestampMs + n * MINUTE_MS }]),
      ),
    )
    expect(results.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(1)
  })

  test('of one key cannot hide the event of another that carries the same id', async () => {
    const [mine, yours] = [freshKey(), freshKey()]
    const event = enrichedEvent({ keyId: mine })
    expect(await write([event, { ...event, keyId: yours }])).toEqual({ inserted: 2, duplicates: 0 })
  })

  test('is stored whenever it happened: long ago, today, or tomorrow by a clock that is fast', async () => {
    const keyId = freshKey()
    const times = [
      Date.UTC(2015, 0),
      SOME_TIME_MS - 70 * DAY_MS,
      SOME_TIME_MS - 28 * DAY_MS,
      SOME_TIME_MS + DAY_MS,
    ]
    expect(await write(times.map((timestampMs) => enrichedEvent({ keyId, timestampMs })))).toEqual({
      inserted: 4,
      duplicates: 0,
    })
    const { rows } = await sql<{ place: string }>`
      select tableoid::regclass::text as place from usage_event where key_id = ${keyId} order by ts`.execute(
      db,
    )
    expect(rows.map((row) => row.place)).toEqual([
      'usage_event_default',
      'usage_event_default',
      'usage_event_20260204',
      'usage_event_20260305',
    ])
  })

  test('is stored in the default partition when its day has rows there already', async () => {
    const keyId = freshKey()
    const timestampMs = SOME_TIME_MS - 50 * DAY_MS
    const past = createUsageWriter(db, new ManualClock(SOME_TIME_MS + 100 * DAY_MS))
    await past.write({ events: [enrichedEvent({ keyId, timestampMs })], rejected: [] })
    expect(await write([enrichedEvent({ keyId, timestampMs })])).toEqual({ inserted: 1, duplicates: 0 })
  })

  test('with absurd numbers fails no batch: counters stop at the largest exact integer', async () => {
    const keyId = freshKey()
    const absurd = () => enrichedEvent({ keyId, inputTokens: Number.MAX_SAFE_INTEGER })
    await write(Array.from({ length: 1_000 }, absurd))
    await write([absurd()])
    const counted = [{ requests: 1_001, inputTokens: Number.MAX_SAFE_INTEGER }]
    expect(await rollupsOf(keyId)).toMatchObject(counted)
    expect(await sourcesOf(keyId)).toMatchObject(counted)
  })
})

describe('a key', () => {
  const keyRow = (keyId: string) =>
    db.selectFrom('api_key').selectAll().where('key_id', '=', keyId).executeTakeFirstOrThrow()
  const at = (keyId: string, ms: number, teamId?: string) =>
    enrichedEvent({ keyId, teamId, timestampMs: SOME_TIME_MS + ms })

  test('knows when it was first seen, late events included', async () => {
    const keyId = freshKey()
    await write([at(keyId, 0)])
    await write([at(keyId, -5 * HOUR_MS)])
    expect(await keyRow(keyId)).toMatchObject({
      first_seen_at: new Date(SOME_TIME_MS - 5 * HOUR_MS),
      state: 'active',
    })
  })

  test('keeps its newest team when an event of an earlier hour names another', async () => {
    const keyId = freshKey()
    await write([at(keyId, 0, 'new')])
    await write([at(keyId, -2 * HOUR_MS, 'old')])
    expect(await keyRow(keyId)).toMatchObject({ team_id: 'new' })
  })

  test('of a batch that failed is written with the next one', async () => {
    const keyId = freshKey()
    await expect(write([at(keyId, 0, 'red'), enrichedEvent({ keyId, model: 'a\u0000b' })])).rejects.toThrow()
    await write([at(keyId, 1_000, 'red')])
    expect(await keyRow(keyId)).toMatchObject({
      team_id: 'red',
      first_seen_at: new Date(SOME_TIME_MS + 1_000),
    })
    const hours = await db.selectFrom('unlearnt_hour').select('hour').where('key_id', '=', keyId).execute()
    expect(hours).toEqual([{ hour: new Date(SOME_TIME_MS) }])
  })

  test('is not written again by a batch that tells nothing new', async () => {
    const keyId = freshKey()
    await write([at(keyId, 0, 'red')])
    const version = () =>
      sql<{ xmin: string }>`select xmin::text from api_key where key_id = ${keyId}`.execute(db)
    const before = await version()
    await write([at(keyId, 60_000, 'red')])
    expect((await version()).rows).toEqual(before.rows)
  })
})

describe('rejected events', () => {
  const rejected = (payload: unknown, reason = 'model: is missing') => ({
    jobId: '17',
    index: 0,
    receivedAt: new Date(SOME_TIME_MS),
    reason,
    payload,
  })

  test('are kept with reason and payload, whatever these hold, once per job and place in it', async () => {
    const nasty = rejected({ text: 'a\u0000b\ud800' }, 'holds \u0000')
    await writer.write({ events: [], rejected: [nasty] })
    await writer.write({ events: [enrichedEvent({ keyId: freshKey() })], rejected: [nasty] })
    const rows = await db.selectFrom('rejected_event').selectAll().execute()
    expect(rows).toMatchObject([{ job_id: '17', item_index: 0, reason: 'holds \u{FFFD}' }])
    expect(JSON.parse(rows[0]?.payload ?? '')).toEqual(nasty.payload)
  })

  test('of a queue that counts its jobs from 1 again are not taken for repeats', async () => {
    const before = await db.selectFrom('rejected_event').select('job_id').execute()
    await writer.write({ events: [], rejected: [rejected({ other: 1 }), rejected(undefined)] })
    const after = await db.selectFrom('rejected_event').select('job_id').execute()
    expect(after.length - before.length).toBe(2)
  })
})

describe('many writers', () => {
  test('never deadlock and never count twice, though their batches share keys, addresses and ids', async () => {
    const keyIds = Array.from({ length: 30 }, freshKey)
    const someEvent = (n: number) =>
      enrichedEvent({ keyId: keyIds[n % keyIds.length] ?? '', ip: `198.51.100.${(n * 7) % 4}` })
    const rounds = Array.from({ length: 6 }, () => Array.from({ length: 100 }, (_, n) => someEvent(n)))
    // Each with connections of its own, like processes.
    const pools = Array.from({ length: 4 }, () => openDatabase(url, { connectionsMax: 2 }))
    const writing = pools.map(async (pool, index) => {
      const each = createUsageWriter(pool, clock)
      let inserted = 0
      for (const shared of rounds) {
        const events = shared.flatMap((event, n) => [event, someEvent(n + 1), someEvent(n + 2)])
        // In opposite orders: the writer must sort for itself.
        const batch = { events: index % 2 === 0 ? events : events.toReversed(), rejected: [] }
        inserted += (await each.write(batch)).inserted
      }
      return inserted
    })
    const inserted = (await Promise.all(writing)).reduce((sum, count) => sum + count, 0)
    await Promise.all(pools.map((pool) => pool.destroy()))
    const expected = rounds.length * (100 + pools.length * 200)
    expect(inserted).toBe(expected)
    const { stored } = await db
      .selectFrom('usage_event')
      .select((select) => select.fn.countAll<number>().as('stored'))
      .where('key_id', 'in', keyIds)
      .executeTakeFirstOrThrow()
    expect(stored).toBe(expected)
    const rolled = (await Promise.all(keyIds.map(rollupsOf))).flat()
    expect(rolled.reduce((sum, { requests }) => sum + requests, 0)).toBe(expected)
    const traced = (await Promise.all(keyIds.map(sourcesOf))).flat()
    expect(traced.reduce((sum, { requests }) => sum + requests, 0)).toBe(expected)
  })

  test('never deadlock over addresses, though their batches share nothing else', async () => {
    const keyIds = Array.from({ length: 50 }, freshKey)
    const pools = Array.from({ length: 4 }, () => openDatabase(url, { connectionsMax: 2 }))
    const writing = pools.map(async (pool, index) => {
      const each = createUsageWriter(pool, clock)
      // Minutes of their own, so that no cell of the cube makes them wait for one another.
      const timestampMs = SOME_TIME_MS + index * MINUTE_MS
      for (let round = 0; round < 8; round += 1) {
        const events = keyIds.flatMap((keyId) =>
          Array.from({ length: 4 }, (_, n) => enrichedEvent({ keyId, timestampMs, ip: `198.51.100.${n}` })),
        )
        await each.write({ events: index % 2 === 0 ? events : events.toReversed(), rejected: [] })
      }
    })
    await Promise.all(writing)
    await Promise.all(pools.map((pool) => pool.destroy()))
    const traced = (await Promise.all(keyIds.map(sourcesOf))).flat()
    expect(traced).toHaveLength(50 * 4)
    expect(traced.every(({ requests }) => requests === 4 * 8)).toBe(true)
  })

  test('that store one id at the same moment count it once: the second waits, and takes its jobs anew', async () => {
    const keyId = freshKey()
    const [contested, own] = [enrichedEvent({ keyId }), enrichedEvent({ keyId })]
    const other = openDatabase(url)
    const stored = Promise.withResolvers<void>()
    const mayCommit = Promise.withResolvers<void>()
    const first = other.transaction().execute(async (trx) => {
      await insertUsage(trx, { events: [contested], news: { keys: [], hours: [] } })
      stored.resolve()
      await mayCommit.promise
    })
    await stored.promise
    let taken = 0
    const second = writer.writeTaken?.(async () => {
      taken += 1
      return { events: [contested, own], rejected: [] }
    })
    await vi.waitFor(async () => {
      const { rows } = await sql`
        select from pg_stat_activity where datname = current_database() and wait_event = 'transactionid'`.execute(
        db,
      )
      expect(rows).toHaveLength(1)
    })
    mayCommit.resolve()
    await first
    expect(await second).toEqual({ inserted: 1, duplicates: 1 })
    expect(taken).toBe(2)
    expect((await rollupsOf(keyId)).map(({ requests }) => requests)).toEqual([2])
    await other.destroy()
  })

  test('make the partition of a new day together', async () => {
    const keyId = freshKey()
    const timestampMs = SOME_TIME_MS - 40 * DAY_MS
    const writers = Array.from({ length: 5 }, () => createUsageWriter(db, clock))
    const results = await Promise.all(
      writers.map((each) => each.write({ events: [enrichedEvent({ keyId, timestampMs })], rejected: [] })),
    )
    expect(results.every(({ inserted }) => inserted === 1)).toBe(true)
  })
})

describe('rollups and sources', () => {
  const someEvent = fc.record({
    id: fc.integer({ min: 0, max: 12 }).map(String),
    minute: fc.constantFrom(0, 1, 9, 10, 25),
    second: fc.integer({ min: 0, max: 59 }),
    model: fc.constantFrom('a', 'b'),
    address: fc.constantFrom(
      { ip: '203.0.113.7', place: { country: 'US', latitude: 37.751, longitude: -97.822 } },
      { ip: '2001:db8::7', place: { country: 'RO', latitude: 0, longitude: 0 } },
      { ip: '10.0.0.7', place: undefined },
      { ip: undefined, place: undefined },
    ),
    inputTokens: fc.nat(5_000),
    outputTokens: fc.nat(5_000),
    cachedInputTokens: fc.nat(100),
    costNanoUsd: fc.option(fc.nat(1_000_000), { nil: undefined }),
    statusCode: fc.constantFrom(200, 200, 201, 400, 429, 500),
  })

  test('equal a recount of the first delivery of every id, for any batches with any repeats', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(someEvent, { maxLength: 12 }), { maxLength: 5 }),
        async (batches) => {
          const keyId = freshKey()
          const events = batches.map((batch) =>
            batch.map(({ minute, second, address, ...rest }) =>
              enrichedEvent({
                ...rest,
                ...address,
                keyId,
                timestampMs: SOME_TIME_MS + minute * MINUTE_MS + second * 1_000,
              }),
            ),
          )
          for (const batch of events) await write(batch)
          expect(await rollupsOf(keyId)).toEqual(recount(events.flat()))
          expect(await sourcesOf(keyId)).toEqual(recountSources(events.flat()))
        },
      ),
      { numRuns: 40 },
    )
  })
})

test('a database that is away is told apart from data that is wrong', async () => {
  const away = openDatabase('postgres://keyhound:hunter2@127.0.0.1:1/keyhound')
  const error: unknown = await createUsageWriter(away, clock)
    .write({ events: [enrichedEvent()], rejected: [] })
    .catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(StoreUnavailableError)
  expect(String(error)).not.toContain('hunter2')
  const wrong: unknown = await write([enrichedEvent({ model: 'a\u0000b' })]).catch(
    (reason: unknown) => reason,
  )
  expect(wrong).toBeInstanceOf(Error)
  expect(wrong).not.toBeInstanceOf(StoreUnavailableError)
  await away.destroy()
})

async function rollupsOf(keyId: string): Promise<Rollup[]> {
  const rows = await db.selectFrom('usage_rollup').selectAll().where('key_id', '=', keyId).execute()
  return rows.map(toRollup).toSorted(byCell)
}

async function sourcesOf(keyId: string): Promise<SourceUsage[]> {
  const rows = await db
    .selectFrom('usage_source')
    .selectAll()
    .where('key_id', '=', keyId)
    .orderBy('bucket')
    .orderBy('address')
    .execute()
  return rows.map(toSource)
}

function firstDeliveries(events: readonly EnrichedEvent[]): EnrichedEvent[] {
  return [...new Map(events.toReversed().map((event) => [event.id, event])).values()]
}

function recount(events: readonly EnrichedEvent[]): Rollup[] {
  const cells = new Map<string, Rollup>()
  for (const event of firstDeliveries(events)) {
    const cell = {
      keyId: event.keyId,
      bucketMs: bucketStart(event.timestampMs),
      model: event.model,
      country: event.place?.country,
    }
    const id = JSON.stringify(cell)
    cells.set(id, { ...cell, ...addTotals(cells.get(id) ?? NO_USAGE, totalsOf(event)) })
  }
  return [...cells.values()].toSorted(byCell)
}

function recountSources(events: readonly EnrichedEvent[]): SourceUsage[] {
  const sources = new Map<string, NonNullable<ReturnType<typeof sourceOf>>>()
  for (const event of firstDeliveries(events)) {
    const source = sourceOf(event)
    if (source === undefined) continue
    const id = `${source.bucketMs} ${source.address}`
    const known = sources.get(id)
    if (known === undefined) sources.set(id, source)
    else addSource(known, source)
  }
  return [...sources].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, source]) => source)
}

function byCell(a: Rollup, b: Rollup): number {
  const text = ({ bucketMs, model, country }: Rollup) => `${bucketMs} ${model} ${country ?? ''}`
  return text(a) < text(b) ? -1 : 1
}
