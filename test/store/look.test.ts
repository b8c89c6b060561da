import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import type { EngineStore, Shard } from '../../src/store/engine-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { insertUsage } from '../../src/store/postgres/insert-usage.ts'
import { KeyMemory } from '../../src/store/postgres/key-news.ts'
import { recentUsageOf } from '../../src/store/postgres/recent-usage.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import type { KeyUsage } from '../../src/usage/key-usage.ts'
import { NO_USAGE, type Rollup } from '../../src/usage/rollup.ts'
import { SOURCES_MAX } from '../../src/usage/source.ts'
import fc from '../harness/fast-check.ts'
import { enrichedEvent } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

const WHOLE: Shard = { index: 0, count: 1 }
const open: Database[] = []
/** The hour of the clock of the database begins at this instant, so that looks of this hour are of its own time. */
let hourMs: number

beforeAll(async () => {
  const db = await database()
  const { rows } = await sql<{ now: Date }>`select date_trunc('hour', now(), 'UTC') as now`.execute(db)
  hourMs = rows[0]?.now.getTime() ?? Number.NaN
})
afterAll(async () => {
  await Promise.all(open.map((db) => db.destroy()))
})

async function database(): Promise<Database> {
  const db = openDatabase(await testDatabase())
  open.push(db)
  return db
}

const write = (db: Database, events: readonly EnrichedEvent[]) =>
  createUsageWriter(db, new ManualClock(hourMs)).write({ events, rejected: [] })
const at = (nowMs: number) => ({ activeSinceMs: nowMs - 5 * MINUTE_MS, nowMs })
const ids = (usages: readonly KeyUsage[]) => usages.map(({ key }) => key.keyId).toSorted()

/** What a tick that fails does not do. */
async function judge(store: EngineStore, nowMs: number, basis = {}): Promise<readonly KeyUsage[]> {
  const { usages, judged } = await store.look(WHOLE, at(nowMs), basis)
  judged()
  return usages
}

/** Both ways to read it: a store that has looked again and again, and one that never has; and row by row. */
async function expectExact(
  db: Database,
  known: EngineStore,
  { nowMs, isMine = () => true }: { readonly nowMs: number; readonly isMine?: (keyId: string) => boolean },
): Promise<void> {
  // Another circumstance: every active key is to be judged.
  const basis = { circumstances: [nowMs, Math.random()] }
  const told = (await judge(known, nowMs, basis)).filter(({ key }) => isMine(key.keyId)).map(rowsOf)
  const fresh = (await judge(createEngineStore(db), nowMs)).filter(({ key }) => isMine(key.keyId)).map(rowsOf)
  const byKey = (a: { key: { keyId: string } }, b: { key: { keyId: string } }) =>
    a.key.keyId < b.key.keyId ? -1 : 1
  const isActive = ({ rollups }: { rollups: readonly Rollup[] }) =>
    rollups.some(({ bucketMs }) => bucketMs >= nowMs - 5 * MINUTE_MS)
  expect(told.filter(isActive).toSorted(byKey)).toEqual(fresh.toSorted(byKey))
  for (const { key, rollups, sources } of told)
    expect({ key, rollups, sources }).toEqual(await recentUsageOf(db, key, nowMs))
}

/** Rows, and the sums and values that the rows must have. */
function rowsOf({ key, rollups, sources, digest }: KeyUsage) {
  for (const fromMs of [-Infinity, ...rollups.map(({ bucketMs }) => bucketMs)]) {
    const sum = { ...NO_USAGE }
    for (const rollup of rollups.filter(({ bucketMs }) => bucketMs >= fromMs))
      for (const counter of Object.keys(sum) as (keyof typeof sum)[])
        Object.assign(sum, { [counter]: sum[counter] + rollup[counter] })
    expect(digest?.since(fromMs)).toEqual(sum)
  }
  expect(new Set(digest?.models)).toEqual(new Set(rollups.map(({ model }) => model)))
  // Perhaps more: those of a clock that is fast.
  expect(digest?.addresses).toEqual(expect.arrayContaining(sources.map(({ address }) => address)))
  return { key, rollups, sources }
}

const someEvents = fc.array(
  fc
    .record({
      keyId: fc.constantFrom('a', 'b', 'c'),
      agoMs: fc.oneof(
        fc.integer({ min: 0, max: 4 * MINUTE_MS }),
        fc.integer({ min: 0, max: 130 * MINUTE_MS }),
      ),
      model: fc.constantFrom('gpt-4o', 'o3'),
      address: fc.constantFrom(
        { ip: '203.0.113.7', place: { country: 'US', latitude: 37.751, longitude: -97.822 } },
        { ip: '2001:db8::7', place: { country: 'RO', latitude: 0, longitude: 0 } },
        { ip: '10.0.0.7', place: undefined },
        { ip: undefined, place: undefined },
      ),
      teamId: fc.constantFrom('red', 'blue', undefined),
      statusCode: fc.constantFrom(200, 200, 429),
    })
    .map(({ address, ...event }) => ({ ...event, ...address })),
  { minLength: 1, maxLength: 8 },
)
type SomeEvents = typeof someEvents extends fc.Arbitrary<infer Value> ? Value : never
type Step =
  | { readonly kind: 'write' | 'begin'; readonly events: SomeEvents }
  | { readonly kind: 'commit' | 'look' | 'fail' }
  | { readonly kind: 'pass'; readonly ms: number }
const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: someEvents.map((events): Step => ({ kind: 'write', events })) },
    { weight: 2, arbitrary: someEvents.map((events): Step => ({ kind: 'begin', events })) },
    { weight: 2, arbitrary: fc.constant<Step>({ kind: 'commit' }) },
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'look' }) },
    { weight: 2, arbitrary: fc.constant<Step>({ kind: 'fail' }) },
    {
      weight: 2,
      arbitrary: fc
        .oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 70 * MINUTE_MS }))
        .map((ms): Step => ({ kind: 'pass', ms })),
    },
  ),
  { minLength: 4, maxLength: 12 },
)

/** A writer's transaction that is left open; whoever writes the same rows would wait for it, so it has keys of its own. */
async function beginWrite(db: Database, events: readonly EnrichedEvent[]): Promise<() => Promise<void>> {
  const trx = await db.startTransaction().execute()
  await insertUsage(trx, { events, news: new KeyMemory().newsOf(events) })
  return async () => {
    await trx.commit().execute()
  }
}

describe('a look at the usage of a shard', () => {
  test('is exact after any order of writes, late rows, commits, failed ticks and looks of two replicas', async () => {
    const db = await database()
    let runs = 0
    await fc.assert(
      fc.asyncProperty(someSteps, async (steps) => {
        runs += 1
        let nowMs = hourMs + 30 * MINUTE_MS
        const replicas = [createEngineStore(db), createEngineStore(db)]
        const opened: (() => Promise<void>)[] = []
        let turn = 0
        const isMine = (keyId: string): boolean => keyId.startsWith(`run-${runs}-`)
        const eventsOf = (events: SomeEvents, prefix: string) =>
          events.map(({ agoMs, keyId, ...event }) =>
            enrichedEvent({ ...event, keyId: `run-${runs}-${prefix}${keyId}`, timestampMs: nowMs - agoMs }),
          )
        const take = async (step: Step): Promise<void> => {
          const replica = replicas[turn % 2]
          if (step.kind === 'write') await write(db, eventsOf(step.events, 'key-'))
          else if (step.kind === 'begin')
            opened.push(await beginWrite(db, eventsOf(step.events, `open${opened.length}-`)))
          else if (step.kind === 'commit') await opened.shift()?.()
          else if (step.kind === 'pass') nowMs += step.ms
          else {
            turn += 1
            if (step.kind === 'fail') await replica?.look(WHOLE, at(nowMs), {})
            else if (replica !== undefined) await expectExact(db, replica, { nowMs, isMine })
          }
        }
        try {
          for (const step of steps) await take(step)
        } finally {
          for (const commit of opened) await commit()
        }
        for (const replica of replicas) await expectExact(db, replica, { nowMs, isMine })
      }),
      { numRuns: 10 },
    )
  }, 120_000)

  test('gives what a writer wrote before the last look and committed after it', async () => {
    const db = await database()
    const store = createEngineStore(db)
    const nowMs = hourMs + 30 * MINUTE_MS
    await write(db, [enrichedEvent({ keyId: 'first', timestampMs: nowMs })])
    await judge(store, nowMs)
    const late = enrichedEvent({ keyId: 'late', timestampMs: nowMs - 100 * MINUTE_MS })
    const commit = await beginWrite(db, [enrichedEvent({ keyId: 'open', timestampMs: nowMs }), late])
    // Transactions that begin and end meanwhile, as they always do.
    for (let turn = 0; turn < 3; turn += 1) {
      await write(db, [enrichedEvent({ keyId: 'busy', timestampMs: nowMs + turn * SECOND_MS })])
      expect(ids(await judge(store, nowMs + turn * SECOND_MS))).toEqual(['busy'])
    }
    await commit()
    expect(ids(await judge(store, nowMs + 10 * SECOND_MS))).toEqual(['late', 'open'])
    expect(ids(await judge(store, nowMs + 20 * SECOND_MS))).toEqual([])
  })

  test('of a tick that failed gives the same keys again, and what came since', async () => {
    const db = await database()
    const store = createEngineStore(db)
    const nowMs = hourMs + 30 * MINUTE_MS
    await judge(store, nowMs)
    await write(db, [
      enrichedEvent({ keyId: 'new', timestampMs: nowMs }),
      enrichedEvent({ keyId: 'late', timestampMs: nowMs - HOUR_MS }),
    ])
    await store.look(WHOLE, at(nowMs), {})
    await write(db, [enrichedEvent({ keyId: 'newer', timestampMs: nowMs })])
    expect(ids(await judge(store, nowMs + SECOND_MS))).toEqual(['late', 'new', 'newer'])
    expect(ids(await judge(store, nowMs + SECOND_MS))).toEqual([])
  })

  test('reads only what was written since the one before', async () => {
    const db = await database()
    const store = createEngineStore(db)
    const nowMs = hourMs + 30 * MINUTE_MS
    await write(db, [enrichedEvent({ keyId: 'known', timestampMs: nowMs - MINUTE_MS })])
    await judge(store, nowMs)
    // Without a trace in the rows: were they read again, the key would be gone.
    await sql`truncate usage_rollup, usage_source`.execute(db)
    await write(db, [enrichedEvent({ keyId: 'new', timestampMs: nowMs })])
    const usages = await judge(store, nowMs, { circumstances: ['other'] })
    expect(ids(usages)).toEqual(['known', 'new'])
  })

  test('looks at all again when the clock is put back beyond what is kept', async () => {
    const db = await database()
    const store = createEngineStore(db)
    const nowMs = hourMs + 30 * MINUTE_MS
    await write(db, [enrichedEvent({ keyId: 'old', timestampMs: nowMs - 3 * HOUR_MS })])
    expect(ids(await judge(store, nowMs))).toEqual([])
    const [usage] = await judge(store, nowMs - 3 * HOUR_MS)
    expect(usage?.rollups).toHaveLength(1)
  })

  test('of a key that changes its address with every request gives the busiest, whether they are kept or not', async () => {
    const db = await database()
    const store = createEngineStore(db)
    const nowMs = hourMs + 30 * MINUTE_MS
    const burst = (from: number, count: number) =>
      write(
        db,
        Array.from({ length: count }, (_, n) =>
          enrichedEvent({ ip: `2001:db8::${(from + n + 1).toString(16)}`, timestampMs: nowMs - 1 }),
        ),
      )
    await burst(0, SOURCES_MAX)
    await judge(store, nowMs)
    await burst(0, 5)
    await burst(SOURCES_MAX, 2 * SOURCES_MAX)
    await expectBusiest(db, store, nowMs)
    for (let part = 3; part < 6; part += 1) await burst(part * SOURCES_MAX, SOURCES_MAX)
    await burst(5 * SOURCES_MAX, 3)
    await expectBusiest(db, store, nowMs)
  }, 60_000)
})

/** Of use now and then, some of it late, some of it ahead of the clock. */
const someUse = fc.record({
  keyId: fc.constantFrom('a', 'b'),
  agoMs: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: MINUTE_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 125 * MINUTE_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: -20 * MINUTE_MS, max: 0 }) },
  ),
  model: fc.constantFrom('gpt-4o', 'gpt-4o', 'gpt-4o', 'o3'),
  from: fc.constantFrom(
    { ip: '203.0.113.7', place: { country: 'US', latitude: 37.751, longitude: -97.822 } },
    { ip: '203.0.113.7', place: { country: 'US', latitude: 37.751, longitude: -97.822 } },
    { ip: '203.0.113.8', place: { country: 'US', latitude: 40.7, longitude: -74 } },
    { ip: '203.0.113.7', place: { country: 'US', latitude: 40.7, longitude: -74 } },
    { ip: '2001:db8::7', place: { country: 'RO', latitude: 0, longitude: 0 } },
    { ip: undefined, place: undefined },
  ),
})

describe('a look that leaves out what is calm', () => {
  /** A store, and what it was told of: the values that each of its calm keys had. */
  interface Replica {
    readonly store: EngineStore
    readonly calm: Map<string, ReadonlySet<string>>
  }
  const valuesOf = ({ rollups, sources }: KeyUsage) =>
    new Set([
      ...rollups.flatMap(({ model, country }) => [model, country ?? '']),
      ...sources.flatMap(({ address, latitude, longitude }) => [address, `${latitude} ${longitude}`]),
    ])

  test('leaves out no key that does what it did not when it was judged', async () => {
    const db = await database()
    let [runs, leftOut, strange] = [0, 0, 0]
    const take = async ({ store, calm }: Replica, nowMs: number, keyIds: readonly string[]) => {
      const look = await store.look(WHOLE, at(nowMs), {})
      for (const usage of look.usages) {
        const { keyId } = usage.key
        if (!keyIds.includes(keyId)) continue
        if (calm.has(keyId)) strange += 1
        calm.set(keyId, valuesOf(usage))
        look.keepCalm(keyId, { isCalm: () => true, untilMs: Infinity, learnedUntilMs: hourMs })
      }
      look.judged()
      const given = new Set(ids(look.usages))
      for (const [keyId, values] of calm) {
        if (given.has(keyId)) continue
        leftOut += 1
        const usage = await recentUsageOf(db, { keyId, teamId: undefined, environment: undefined }, nowMs)
        expect([...values]).toEqual(expect.arrayContaining([...valuesOf(usage)]))
      }
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            use: fc.array(someUse, { maxLength: 3 }),
            passMs: fc.integer({ min: 1_000, max: 100_000 }),
            turn: fc.nat({ max: 1 }),
          }),
          { minLength: 5, maxLength: 15 },
        ),
        async (steps) => {
          runs += 1
          const replicas: Replica[] = [0, 1].map(() => ({ store: createEngineStore(db), calm: new Map() }))
          let nowMs = hourMs + 20 * MINUTE_MS
          const idOf = (keyId: string): string => `calm-${runs}-${keyId}`
          for (const { use, passMs, turn } of steps) {
            nowMs += passMs
            const events = use.map(({ keyId, agoMs, model, from }) =>
              enrichedEvent({ keyId: idOf(keyId), timestampMs: nowMs - agoMs, model, ...from }),
            )
            await write(db, events)
            const replica = replicas[turn]
            if (replica !== undefined) await take(replica, nowMs, ['a', 'b'].map(idOf))
          }
        },
      ),
      { numRuns: 25 },
    )
    expect(leftOut).toBeGreaterThan(50)
    expect(strange).toBeGreaterThan(20)
  }, 120_000)

  test('gives a key whose profile another process has taught, when its last hour may be learnt', async () => {
    const db = await database()
    const [one, other] = [createEngineStore(db), createEngineStore(db)]
    const profile = (learnedUntilMs: number) => ({
      ...emptyProfile({ keyId: 'key-1', firstSeenMs: hourMs - 2 * HOUR_MS, timeZone: 'UTC' }),
      learnedUntilMs,
    })
    const tickAt = async (nowMs: number): Promise<string[]> => {
      await write(db, [enrichedEvent({ timestampMs: nowMs - SECOND_MS })])
      const look = await one.look(WHOLE, at(nowMs), {})
      for (const { key } of look.usages)
        look.keepCalm(key.keyId, { isCalm: () => true, untilMs: Infinity, learnedUntilMs: hourMs - HOUR_MS })
      look.judged()
      return ids(look.usages)
    }
    await write(db, [enrichedEvent({ timestampMs: hourMs - MINUTE_MS })])
    await one.saveProfiles([profile(hourMs - HOUR_MS)])
    const nowMs = hourMs + 10 * MINUTE_MS
    expect(await tickAt(nowMs)).toEqual(['key-1'])
    expect(await tickAt(nowMs + 10 * SECOND_MS)).toEqual([])
    await other.saveProfiles([profile(hourMs)])
    // It is seen at one tick, and judged at the next.
    expect(await tickAt(nowMs + 20 * SECOND_MS)).toEqual([])
    expect(await tickAt(nowMs + 30 * SECOND_MS)).toEqual(['key-1'])
  })
})

async function expectBusiest(db: Database, store: EngineStore, nowMs: number): Promise<void> {
  const [usage] = await judge(store, nowMs)
  expect(usage?.sources).toHaveLength(SOURCES_MAX)
  if (usage === undefined) return
  expect(usage.sources).toEqual((await recentUsageOf(db, usage.key, nowMs)).sources)
}
