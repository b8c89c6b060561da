import { expect, test } from 'vitest'
import { Backtest } from '../../src/backtest/backtest.ts'
import { ManualClock } from '../../src/clock.ts'
import { parseConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { MemoryEngineStore } from '../../src/store/memory/engine-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent } from '../harness/builders.ts'
import fc from '../harness/fast-check.ts'

/** A Monday, midnight UTC. */
const START_MS = Date.parse('2026-03-02T00:00:00.000Z')
const DAYS = 3
const TICK_MS = 10 * SECOND_MS

/** Detectors learn a day, so that three days have something to judge. */
const config = parseConfig(
  `version: 1
detectors:
  volume_spike: { min_history: 1d, min_events: 5, min_requests: 5 }
  unusual_geo: { min_history: 1d, min_events: 5 }
  unusual_hour: { min_history: 1d, min_events: 5 }
  unfamiliar_model: { min_history: 1d, min_events: 5 }
  impossible_travel: { min_history: 1d, min_events: 5 }
  model_probe: { min_history: 1d, min_events: 5 }
  error_rate: { min_history: 1d, min_events: 5, min_refused: 5 }
  distinct_addresses: { min_history: 1d, min_events: 5, min_addresses: 3 }
  key_silent: { min_history: 1d, min_events: 5 }
  dormant_key: { silent_for: 1d }
  key_age: { enabled: true, max_age: 2d, remind_every: 1d }
  spend_threshold: { limits: [{ window: 1h, usd: 0.02 }, { period: day, usd: 0.5, projected: info }] }
notify: { resolve_after: 10m }
`,
  'alerts.yaml',
  {},
)

const HOME = { ip: '8.8.8.8', place: { country: 'US', latitude: 37.751, longitude: -97.822 } }
const ODD: readonly Partial<EnrichedEvent>[] = [
  { model: 'o3' },
  { model: 'o1-pro', statusCode: 404 },
  { ip: '86.120.1.1', place: { country: 'RO', latitude: 45.9968, longitude: 24.997 } },
  { ip: '8.8.4.4' },
  { ip: '8.8.4.5', place: { country: 'US', latitude: 40.7, longitude: -74 } },
  { statusCode: 429 },
  { inputTokens: 90_000, costNanoUsd: 40_000_000 },
  { costNanoUsd: undefined },
  { teamId: 'another' },
  {},
]

/** A key at work in some hours of the day, and a few runs of something else. */
const someKey = fc.record({
  fromHour: fc.nat({ max: 20 }),
  hours: fc.constantFrom(3, 9, 24),
  everyMs: fc.constantFrom(7 * MINUTE_MS, 25 * MINUTE_MS),
  untilDay: fc.constantFrom(1, DAYS, DAYS, DAYS),
  runs: fc.array(
    fc.record({
      atMs: fc.integer({ min: DAY_MS, max: DAYS * DAY_MS - 1 }),
      odd: fc.constantFrom(...ODD),
      requests: fc.constantFrom(1, 3, 40),
      everyMs: fc.constantFrom(SECOND_MS, 20 * SECOND_MS, 4 * MINUTE_MS),
    }),
    { maxLength: 3 },
  ),
})

function eventsOf(keys: readonly (typeof someKey extends fc.Arbitrary<infer Key> ? Key : never)[]) {
  const events: EnrichedEvent[] = []
  for (const [index, { fromHour, hours, everyMs, untilDay, runs }] of keys.entries()) {
    const add = (atMs: number, odd: Partial<EnrichedEvent> = {}): void => {
      if (atMs < DAYS * DAY_MS)
        events.push(enrichedEvent({ keyId: `key-${index}`, timestampMs: START_MS + atMs, ...HOME, ...odd }))
    }
    for (let atMs = index * 1_234; atMs < untilDay * DAY_MS; atMs += everyMs) {
      const hour = Math.floor((atMs % DAY_MS) / HOUR_MS)
      if ((hour - fromHour + 24) % 24 < hours) add(atMs)
    }
    for (const run of runs)
      for (let nth = 0; nth < run.requests; nth += 1) add(run.atMs + nth * run.everyMs, run.odd)
  }
  return events
    .toSorted((a, b) => a.timestampMs - b.timestampMs)
    .map((event, index) => ({ ...event, id: `event-${index}` }))
}

test('a backtest raises what every tick of the daemon would, were every key judged by every detector at each', async () => {
  let alerts = 0
  await fc.assert(
    fc.asyncProperty(fc.array(someKey, { minLength: 1, maxLength: 3 }), async (keys) => {
      const events = eventsOf(keys)
      const raised = await byBacktest(events)
      expect(raised).toEqual(await byEveryTick(events))
      alerts += raised.length
    }),
    { numRuns: 30 },
  )
  expect(alerts).toBeGreaterThan(80)
}, 120_000)

async function byBacktest(events: readonly EnrichedEvent[]): Promise<string[]> {
  const alerts: string[] = []
  const backtest = new Backtest({
    config,
    onAlert: ({ at, detector, key_id: keyId, severity, summary }) =>
      alerts.push([at, keyId, detector, severity, summary].join(' ')),
    onDetectorError: fail,
  })
  for (const event of events) {
    await backtest.advanceTo(event.timestampMs)
    backtest.add(event)
  }
  await backtest.end()
  return alerts.toSorted()
}

/** A key without anything that says that it is calm is judged whenever something of it is new, and under an alert every minute. */
async function byEveryTick(events: readonly EnrichedEvent[]): Promise<string[]> {
  const store = new MemoryEngineStore()
  const clock = new ManualClock(0)
  const engine: TickEngine = {
    store,
    detectors: DETECTORS.map((detector) => ({ ...detector, calm: () => undefined })),
    ...tickSettings(config, () => clock.nowMs()),
    onDetectorError: fail,
  }
  const alerts: string[] = []
  const lastMs = events.at(-1)?.timestampMs ?? START_MS
  let added = 0
  for (let nowMs = START_MS; nowMs < lastMs + TICK_MS; nowMs += TICK_MS) {
    for (
      let event = events[added];
      event !== undefined && event.timestampMs <= nowMs;
      event = events[added]
    ) {
      store.add(event)
      added += 1
    }
    clock.set(nowMs)
    const { opened, escalated } = await tick(engine, { shard: { index: 0, count: 1 }, nowMs })
    for (const { keyId, detector, severity, summary } of [...opened, ...escalated])
      alerts.push([new Date(nowMs).toISOString(), keyId, detector, severity, summary].join(' '))
  }
  return alerts.toSorted()
}

function fail({ error }: { readonly error: unknown }): never {
  throw error
}
