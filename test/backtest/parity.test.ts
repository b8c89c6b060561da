import { afterAll, expect, test } from 'vitest'
import { Backtest } from '../../src/backtest/backtest.ts'
import { ManualClock } from '../../src/clock.ts'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { testDatabase } from '../harness/database.ts'
import { fleetEvents, START_MS } from './fleet.ts'

const config = parseConfig(
  'version: 1\ndetectors: { spend_threshold: { limits: [{ window: 1d, usd: 5 }] } }',
  'alerts.yaml',
  {},
)
const DAYS = 8
const WATCHED_FROM_MS = START_MS + DAYS * DAY_MS + 2 * HOUR_MS
const WATCHED_TO_MS = WATCHED_FROM_MS + 2 * HOUR_MS

let database: Database | undefined
afterAll(async () => {
  await database?.destroy()
})

test(
  'the daemon on Postgres and the backtest in memory raise the same alerts at the same times',
  { timeout: 120_000 },
  async () => {
    const events = fleetEvents(DAYS).filter(({ timestampMs }) => timestampMs < WATCHED_TO_MS)
    const inMemory = await alertsInMemory(events)
    expect(inMemory.length).toBeGreaterThanOrEqual(4)
    expect(await alertsOnPostgres(events)).toEqual(inMemory)
  },
)

async function alertsInMemory(events: readonly EnrichedEvent[]): Promise<unknown[]> {
  const alerts: unknown[] = []
  const backtest = new Backtest({
    config,
    onAlert: ({ key_id: keyId, ...alert }) => alerts.push({ keyId, ...alert }),
    onDetectorError: fail,
  })
  for (const event of events) {
    await backtest.advanceTo(event.timestampMs)
    backtest.add(event)
  }
  await backtest.end()
  return alerts
}

/** The daemon's stores and tick, on its own schedule while the theft goes on, hourly while there is only history. */
async function alertsOnPostgres(events: readonly EnrichedEvent[]): Promise<unknown[]> {
  database = openDatabase(await testDatabase())
  const clock = new ManualClock(0)
  const writer = createUsageWriter(database, clock)
  const engine: TickEngine = {
    store: createEngineStore(database, { settleMs: 0 }),
    detectors: DETECTORS,
    ...tickSettings(config, () => clock.nowMs()),
    onDetectorError: fail,
  }
  const alerts: unknown[] = []
  let written = 0
  for (const nowMs of tickTimes()) {
    clock.set(nowMs)
    const due = events.slice(written).findIndex(({ timestampMs }) => timestampMs > nowMs)
    const until = due < 0 ? events.length : written + due
    for (; written < until; written += 500) {
      await writer.write({ events: events.slice(written, Math.min(until, written + 500)), rejected: [] })
    }
    written = until
    const { opened, escalated } = await tick(engine, { shard: { index: 0, count: 1 }, nowMs })
    const found = [...opened, ...escalated].map(({ detector, keyId, severity, summary, evidence }) => ({
      keyId,
      detector,
      at: new Date(nowMs).toISOString(),
      severity,
      summary,
      evidence,
    }))
    alerts.push(...found.toSorted((a, b) => (a.detector < b.detector ? -1 : 1)))
  }
  return alerts
}

function tickTimes(): number[] {
  const times: number[] = []
  for (let atMs = START_MS + HOUR_MS; atMs <= WATCHED_FROM_MS; atMs += HOUR_MS)
    times.push(atMs + 6 * MINUTE_MS)
  const lastMs = times.at(-1) ?? START_MS
  for (let atMs = lastMs + 10_000; atMs <= WATCHED_TO_MS; atMs += 10_000) times.push(atMs)
  return times
}

function fail({ error }: { readonly error: unknown }): never {
  throw error
}
