import { describe, expect, test } from 'vitest'
import { slowDrift } from '../../src/detect/detectors/slow-drift.ts'
import { expectedVolume, meanRate } from '../../src/detect/expected-volume.ts'
import { entriesOf } from '../../src/detect/ledger-spans.ts'
import type { Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { find, learnt, NOON_MS, usage } from './history.ts'

/** `perHour` of each of the days before today, by how many days ago the hour was. */
function keyWith(perHour: (daysAgo: number) => number, days = 34): Profile {
  return learnt({
    days,
    hour: (hourMs) => {
      const requests = Math.round(perHour((NOON_MS - hourMs) / DAY_MS))
      return requests > 0 ? [{ requests }] : []
    },
  })
}

const drift = (profile: Profile, settings = {}) =>
  find(slowDrift, { usage: usage([{}], NOON_MS), profile, nowMs: NOON_MS }, settings)

describe('slow_drift', () => {
  test('fires when the last week is far above the weeks before it, though it crept up', () => {
    const crept = keyWith((ago) => (ago > 10 ? 20 : 20 + 2.4 * (10 - ago)))
    expect(drift(crept)).toMatchObject([
      {
        detector: 'slow_drift',
        severity: 'info',
        evidence: { metric: 'requests_per_week', share_of_new_addresses: 0 },
      },
    ])
    expect(drift(crept)[0]?.summary).toMatch(
      /^key-7 made [\d,]+ requests in the last seven days; about 3,\d\d\d were/,
    )
    expect(Number(drift(crept)[0]?.evidence.times_usual)).toBeGreaterThan(1.4)
  })

  test('does not fire for a key that keeps its level, or has a day off', () => {
    expect(drift(keyWith(() => 20))).toEqual([])
    expect(drift(keyWith((ago) => (ago > 3 && ago < 4 ? 60 : 20)))).toEqual([])
  })

  test('a key that grows as it has grown is no drift, at 2 and at 4 % a day', () => {
    for (const growth of [1.02, 1.04]) expect(drift(keyWith((ago) => 200 * growth ** (34 - ago)))).toEqual([])
  })

  test('a key whose weeks vary has to drift further', () => {
    const varied = keyWith((ago) => (ago <= 7.5 ? 33 : ([20, 34, 14, 26][Math.floor(ago / 7) % 4] ?? 20)))
    expect(drift(varied)).toEqual([])
  })

  test('needs two whole weeks before the last one, and none of them empty', () => {
    const doubled = (days: number) => keyWith((ago) => (ago <= 7.5 ? 50 : 20), days)
    expect(drift(doubled(20), { min_history: '1d' })).toEqual([])
    expect(drift(doubled(24))).toHaveLength(1)
    expect(drift(keyWith((ago) => (ago <= 7.5 ? 50 : ago > 15 && ago < 23 ? 0 : 20)))).toEqual([])
  })

  test('small keys double by themselves', () => {
    const small = keyWith((ago) => (Math.floor(ago * 24) % 24 === 3 ? (ago <= 7.5 ? 9 : 3) : 0))
    expect(drift(small, { min_events: 0 })).toEqual([])
  })

  test('money drifts without requests', () => {
    const dearer = learnt({
      days: 34,
      hour: (hourMs) => [
        { requests: 20, costNanoUsd: NOON_MS - hourMs < 7.5 * DAY_MS ? 60_000_000 : 20_000_000 },
      ],
    })
    expect(drift(dearer)).toMatchObject([{ evidence: { metric: 'cost_usd_per_week', times_usual: 2.99 } }])
    expect(drift(dearer, { metrics: ['requests'] })).toEqual([])
  })

  test('more of the same never lowers its score', () => {
    const scores = [40, 60, 120, 500].map(
      (high) => drift(keyWith((ago) => (ago <= 7.5 ? high : 20)))[0]?.score ?? 0,
    )
    expect(scores).toEqual(scores.toSorted((a, b) => a - b))
    expect(scores.at(-1)).toBeGreaterThan(3)
  })
})

describe('what a day may teach', () => {
  test('is at most three times the usual of a day: a flood from noon to noon does not become usual', () => {
    const calm = keyWith(() => 20)
    const flooded = keyWith((ago) => (ago > 2 && ago <= 3 ? 2_000 : 20))
    expect(meanRate(flooded.week) / meanRate(calm.week)).toBeLessThan(1.4)
    const hourMs = NOON_MS + 4 * DAY_MS
    expect(expectedVolume(flooded, hourMs, hourMs + HOUR_MS).mean).toBeLessThan(
      4 * expectedVolume(calm, hourMs, hourMs + HOUR_MS).mean,
    )
  })

  test('leaves the facts alone: the ledger has all of it', () => {
    const flooded = keyWith((ago) => (ago > 2 && ago <= 3 ? 2_000 : 20))
    expect(Math.max(...entriesOf(flooded.ledger.days).map(([, requests]) => requests))).toBeGreaterThan(
      20_000,
    )
  })

  test('does not hold back a key in its first week, nor one that doubles', () => {
    expect(meanRate(keyWith(() => 200, 5).week)).toBeCloseTo(200, 0)
    const doubled = keyWith((ago) => (ago <= 14 ? 40 : 20))
    expect(meanRate(doubled.week)).toBeGreaterThan(28)
  })
})
