import { beforeAll, describe, expect, test } from 'vitest'
import type { BacktestAlert } from '../../src/backtest/backtest.ts'
import { runBacktest } from '../../src/backtest/run-backtest.ts'
import { parseConfig } from '../../src/config/load.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent } from '../harness/builders.ts'
import { START_MS } from './fleet.ts'

const KEYS = 14
const DAYS = 18
const HOME = { country: 'US', latitude: 37.751, longitude: -97.822 }
const BUDGETS = [0.1, 0.5, 2] as const

/**
 * Honest keys that stray from their habit as real ones do: hours vary, and now and then one is three times as busy as it
 * should be, and seldom far more. No thief among them: every alert is a false one. The same events in every run.
 */
function honestFleet(): EnrichedEvent[] {
  const random = mulberry32(7)
  const events: EnrichedEvent[] = []
  for (let key = 0; key < KEYS; key += 1) {
    for (let hour = 0; hour < DAYS * 24; hour += 1) {
      const usual = 2 + (key % 4)
      const isBusy = hour > 6 * 24 && random() < 0.015
      const made = Math.round(usual * (0.5 + random()) * (isBusy ? 3 - 2.5 * Math.log(1 - random()) : 1))
      for (let n = 0; n < made; n += 1) {
        events.push(
          enrichedEvent({
            timestampMs: START_MS + hour * HOUR_MS + Math.floor(random() * 60 * MINUTE_MS),
            keyId: `key-${key}`,
            ip: `10.0.0.${key}`,
            place: HOME,
          }),
        )
      }
    }
  }
  return events
    .toSorted((a, b) => a.timestampMs - b.timestampMs)
    .map((event, index) => ({ ...event, id: `honest-${index}` }))
}

/** A small generator of numbers from 0 to 1 (mulberry32), so that the fleet is the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Alerts of severity warning and up per 100 key-days, by budget. */
const raised = new Map<number, BacktestAlert[]>()

beforeAll(async () => {
  const events = honestFleet()
  async function* batches() {
    for (let at = 0; at < events.length; at += 1_000) yield events.slice(at, at + 1_000)
  }
  await runBacktest({
    sides: BUDGETS.map((budget) => {
      const alerts: BacktestAlert[] = []
      raised.set(budget, alerts)
      return {
        config: parseConfig(
          `version: 1\nalert_budget: { false_alerts_per_100_key_days: ${budget} }`,
          'alerts.yaml',
          {},
        ),
        onAlert: (alert) => alerts.push(alert),
        onDetectorError: ({ error }) => {
          throw error
        },
      }
    }),
    events: batches(),
    enrich: (event) => event as EnrichedEvent,
  })
}, 120_000)

function warnings(budget: number): number {
  return (raised.get(budget) ?? []).filter(({ severity }) => severity !== 'info').length
}

describe('the alert budget, on a fleet of honest keys', () => {
  test('decides how many false alerts there are: less than with the default for 0.1, more for 2', () => {
    const counts = BUDGETS.map(warnings)
    expect(counts).toEqual(counts.toSorted((a, b) => a - b))
    expect(warnings(0.1)).toBeLessThan(0.6 * warnings(0.5))
    expect(warnings(2)).toBeGreaterThan(1.5 * warnings(0.5))
  })

  test('each alert shows its score, and the score that it had to reach', () => {
    const volume = (raised.get(2) ?? []).filter(({ detector }) => detector === 'volume_spike')
    expect(volume.length).toBeGreaterThan(0)
    for (const { severity, evidence } of volume) {
      const isRare = Number(evidence.score) >= Number(evidence.score_for_warning)
      expect(isRare).toBe(severity !== 'info')
    }
  })
})
