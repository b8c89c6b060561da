import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { keyStandings } from '../../src/store/postgres/key-standing.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

/** A Wednesday. The key is used from the US, six requests an hour, for five days before. */
const NOON = Date.parse('2026-03-04T12:00:00Z')
const CONFIG = `version: 1
channels: { oncall: { type: slack, url: "https://hooks.slack.com/services/a" } }
notify: { group_wait: 0s, resolve_after: 10m }
maintenance:
  - { name: noon, match: { environment: staging }, weekly: { days: [wed], from: "12:00", to: "12:20" } }
`

let db: Database
let engine: TickEngine
let nowMs = NOON

beforeEach(async () => {
  nowMs = NOON
  db = openDatabase(await testDatabase())
  engine = {
    store: createEngineStore(db, { settleMs: 0 }),
    detectors: DETECTORS.filter(({ name }) => name === 'unusual_geo' || name === 'error_rate'),
    ...tickSettings(parseConfig(CONFIG, 'alerts.yaml', {}), () => nowMs),
    standings: (atMs) => keyStandings(db, atMs),
    onDetectorError: ({ error }) => {
      throw error
    },
  }
  await write(
    Array.from({ length: 5 * 24 * 6 }, (_, n) =>
      event({ timestampMs: NOON - 5 * DAY_MS + n * 10 * MINUTE_MS }),
    ),
  )
})
afterEach(async () => db.destroy())

const event = (given: Partial<EnrichedEvent>) => enrichedEvent({ environment: 'staging', ...given })
const write = (events: readonly EnrichedEvent[]) =>
  createUsageWriter(db, new ManualClock(NOON + DAY_MS)).write({ events, rejected: [] })
const fromRomania = (minute: number) =>
  write(
    Array.from({ length: 10 }, (_, n) =>
      event({
        timestampMs: NOON + minute * MINUTE_MS + n * SECOND_MS,
        ip: '5.2.128.1',
        place: { country: 'RO', latitude: 44.4, longitude: 26.1 },
      }),
    ),
  )
/** A tick in the last second of a minute after noon. */
const run = (minute: number) => {
  nowMs = NOON + minute * MINUTE_MS + 59 * SECOND_MS
  return tick(engine, { shard: { index: 0, count: 1 }, nowMs })
}
const statuses = async () =>
  (await db.selectFrom('alert').select('status').execute()).map(({ status }) => status)
const told = async () =>
  (await db.selectFrom('delivery').select(['type', 'reason']).execute()).map(({ type }) => type)

describe('the engine on Postgres', () => {
  test('complaint 12: keeps quiet in a maintenance window of the configuration, and tells what is open at its end', async () => {
    await run(-1)
    await fromRomania(5)
    expect((await run(5)).opened).toMatchObject([{ detector: 'unusual_geo' }])
    expect([await statuses(), await told()]).toEqual([['silenced'], []])
    await fromRomania(19)
    await run(19)
    expect(await told()).toEqual([])
    await run(20)
    expect([await statuses(), await told()]).toEqual([['firing'], ['alert.opened']])
  })

  test('complaint 15: does not end an alert before it has looked for it again, however long it was away', async () => {
    await run(-1)
    await fromRomania(25)
    await run(25)
    await run(24 * 60)
    await run(24 * 60 + 1)
    expect(await statuses()).toEqual(['firing'])
    await run(24 * 60 + 2)
    expect(await statuses()).toEqual(['resolved'])
  })

  test('asks no second time about a country that a person called safe', async () => {
    await run(-1)
    await fromRomania(25)
    const [alert] = (await run(25)).opened
    const operators = createOperatorStore(db, new ManualClock(NOON))
    const act = { comment: undefined, actor: 'ann', nowMs, safeForMs: 7 * DAY_MS }
    await operators.giveVerdict(alert?.id ?? '', { verdict: 'safe', ...act })
    await fromRomania(26)
    expect((await run(26)).opened).toEqual([])
    await db
      .updateTable('taught_value')
      .set({ expires_at: new Date(NOON) })
      .execute()
    await fromRomania(27)
    expect((await run(27)).opened).toHaveLength(1)
  })

  test('learns no country under an open alert, until a person calls it safe or it comes back without one', async () => {
    const countries = async () =>
      (await engine.store.profiles(['key-1'])).get('key-1')?.countries.map(({ value }) => value)
    const { settingsFor } = engine
    const graded: TickEngine = {
      ...engine,
      settingsFor: (key) =>
        new Map(
          [...settingsFor(key)].map(([name, settings]) => [
            name,
            name === 'unusual_geo' ? { ...settings, severity: 'warning' as const } : settings,
          ]),
        ),
    }
    engine = graded
    await run(-1)
    for (const minute of [25, 85, 145]) {
      await fromRomania(minute)
      await run(minute)
    }
    await run(6 * 60)
    expect(await countries()).toEqual(['US'])
    await run(6 * 60 + 1)
    await run(6 * 60 + 2)
    expect(await statuses()).toContain('resolved')
    engine = { ...graded, detectors: [] }
    await fromRomania(7 * 60)
    await run(9 * 60)
    expect(await countries()).toEqual(['US', 'RO'])
  })

  test.each([
    [false, 1],
    [true, 0],
  ])('complaint 8: the 401s of a key that is revoked (%s) open alerts: %d', async (isRevoked, alerts) => {
    await run(-1)
    if (isRevoked)
      await db
        .updateTable('api_key')
        .set({ state: 'revoked', state_since: new Date(NOON + 20 * MINUTE_MS) })
        .execute()
    await write(
      Array.from({ length: 200 }, (_, n) =>
        event({ timestampMs: NOON + 25 * MINUTE_MS + n * 100, statusCode: 401 }),
      ),
    )
    expect((await run(25)).opened).toHaveLength(alerts)
    const before = await engine.store.profiles(['key-1'])
    await run(3 * 60)
    const after = (await engine.store.profiles(['key-1'])).get('key-1')
    expect(after?.learnedUntilMs).toBe(NOON + HOUR_MS)
    if (isRevoked) expect(after?.refusals).toEqual(before.get('key-1')?.refusals)
  })

  describe('usage that came hours late', () => {
    /** By the clock of the database, for what is late is noted by it. */
    let nowMs: number
    const late = (hours: number, given: Partial<EnrichedEvent> = {}) =>
      Array.from({ length: 10 }, (_, n) =>
        event({
          timestampMs: nowMs - hours * HOUR_MS + n * SECOND_MS,
          ip: '5.2.128.1',
          place: { country: 'RO', latitude: 44.4, longitude: 26.1 },
          ...given,
        }),
      )
    const look = () => tick(engine, { shard: { index: 0, count: 1 }, nowMs: (nowMs += 10 * SECOND_MS) })

    beforeEach(async () => {
      const { rows } = await sql<{ at: Date }>`select now() as at`.execute(db)
      nowMs = rows[0]?.at.getTime() ?? NaN
      const days = Array.from({ length: 5 * 24 * 6 }, (_, n) => nowMs - 6 * DAY_MS + n * 10 * MINUTE_MS)
      await write(days.map((timestampMs) => event({ keyId: 'late', timestampMs })))
      await look()
      expect((await look()).opened).toEqual([])
    })

    test('up to a day is judged as of its own time, once, and says that it came late', async () => {
      await write(late(9, { keyId: 'late' }))
      const { opened } = await look()
      expect(opened).toMatchObject([{ detector: 'unusual_geo', keyId: 'late' }])
      // To the end of its hour.
      expect(opened[0]?.evidence['came_late_by']).toMatch(/^[89]h$/)
      expect(opened[0]?.summary).toMatch(/\([89] hours ago: this usage came late\)$/)
      const seen = async () => (await db.selectFrom('alert').select('occurrences').execute())[0]?.occurrences
      expect(await seen()).toBe(1)
      await look()
      expect(await seen()).toBe(1)
    })

    test('is judged once also while another transaction is open, which makes looks read again what they saw', async () => {
      await db.transaction().execute(async (trx) => {
        await sql`select pg_current_xact_id()`.execute(trx)
        await write(late(9, { keyId: 'late' }))
        const occurrences = () => db.selectFrom('alert').select('occurrences').execute()
        expect((await look()).opened).toHaveLength(1)
        await look()
        expect(await occurrences()).toEqual([{ occurrences: 1 }])
        await write(late(9, { keyId: 'late', model: 'another' }))
        await look()
        expect(await occurrences()).toEqual([{ occurrences: 2 }])
      })
    })

    test('is judged by whoever looks next when a tick failed, and by a process that has just started', async () => {
      await write(late(9, { keyId: 'late' }))
      const failing: TickEngine = {
        ...engine,
        groupKeyFor: () => {
          throw new Error('killed')
        },
      }
      await expect(tick(failing, { shard: { index: 0, count: 1 }, nowMs })).rejects.toThrow('killed')
      const [alert] = (await look()).opened
      expect(alert?.keyId).toBe('late')
      await engine.store.commit({ nowMs, findings: [], resolved: [alert?.id ?? ''] }, engine.plan)
      engine = { ...engine, store: createEngineStore(db, { settleMs: 0 }) }
      expect((await look()).opened).toHaveLength(1)
    })

    test('more than a day is counted where it belongs, and not judged', async () => {
      await write(late(25, { keyId: 'late' }))
      expect((await look()).opened).toEqual([])
      const { rows } = await sql<{ requests: number }>`
        select sum(requests)::int as requests from usage_rollup where country = 'RO'`.execute(db)
      expect(rows).toEqual([{ requests: 10 }])
    })
  })
})
