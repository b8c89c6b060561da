import { sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

const NOON = Date.parse('2026-03-04T12:00:00Z')
const KEYS = 30
const REPLICAS = 3
const TICKS = 6
/** Every key that spends anything is over its limit. */
const CONFIG = `version: 1
channels: { oncall: { type: slack, url: "https://hooks.slack.com/services/a" } }
routes: [{ channels: [oncall] }]
notify: { group_wait: 0s }
detectors: { spend_threshold: { limits: [{ window: 1h, usd: 0.000001 }] } }
`

const url = await testDatabase()
const open: Database[] = []
afterAll(() => Promise.all(open.map((db) => db.destroy())))

/** One process: its own connections, its own memory. */
function replica(): { readonly db: Database; readonly engine: TickEngine } {
  const db = openDatabase(url)
  open.push(db)
  const engine = {
    store: createEngineStore(db, { settleMs: 0 }),
    detectors: DETECTORS.filter(({ name }) => name === 'spend_threshold'),
    ...tickSettings(parseConfig(CONFIG, 'alerts.yaml', {}), () => NOON),
    onDetectorError: ({ error }: { readonly error: unknown }) => {
      throw error
    },
  }
  return { db, engine }
}

function usageOfMinute(minute: number): EnrichedEvent[] {
  return Array.from({ length: KEYS * 4 }, (_, n) =>
    enrichedEvent({
      id: `event-${minute}-${n}`,
      keyId: `key-${n % KEYS}`,
      timestampMs: NOON + minute * MINUTE_MS + n * 10,
      costNanoUsd: 1_000_000,
    }),
  )
}

test('replicas that tick, learn and ingest at the same moments never deadlock, open each alert once and learn each hour once', async () => {
  const replicas = Array.from({ length: REPLICAS }, replica)
  const [first] = replicas
  if (first === undefined) throw new Error('a replica expected')
  const writers = replicas.map(({ db }) => createUsageWriter(db, new ManualClock(NOON + HOUR_MS)))
  // Two hours that are to be learnt, and the one in which the ticks run.
  for (const minute of [-100, -40]) await writers[0]?.write({ events: usageOfMinute(minute), rejected: [] })
  const opened: string[] = []
  for (let turn = 0; turn < TICKS; turn += 1) {
    const nowMs = NOON + (10 + turn) * MINUTE_MS + 30 * SECOND_MS
    const reports = await Promise.all([
      ...replicas.map(({ engine }) => tick(engine, { shard: { index: 0, count: 1 }, nowMs })),
      ...replicas.map(({ engine }, index) => tick(engine, { shard: { index, count: REPLICAS }, nowMs })),
      // The same events from every replica, as when the queue delivers again.
      ...writers.map((writer) => writer.write({ events: usageOfMinute(10 + turn), rejected: [] })),
    ])
    for (const report of reports)
      if ('opened' in report) opened.push(...report.opened.map(({ keyId }) => keyId))
  }
  await tick(first.engine, { shard: { index: 0, count: 1 }, nowMs: NOON + 20 * MINUTE_MS })

  expect(opened.toSorted()).toEqual(Array.from({ length: KEYS }, (_, n) => `key-${n}`).toSorted())
  const alerts = await first.db.selectFrom('alert').select(['key_id', 'status']).execute()
  expect(alerts).toHaveLength(KEYS)
  const messages =
    await sql`select incident_id from delivery group by incident_id having count(*) > 1`.execute(first.db)
  expect(messages.rows).toEqual([])
  const profiles = await first.engine.store.profiles(alerts.map(({ key_id: keyId }) => keyId))
  expect([...profiles.values()].map(({ events }) => events)).toEqual(Array(KEYS).fill(8))
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = current_database()`.execute(first.db)
  expect(rows).toEqual([{ deadlocks: 0 }])
})
