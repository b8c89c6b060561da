import { describe, expect, test } from 'vitest'
import { falseShareAt, type LargeFleet } from '../../scripts/eval/fleet.ts'
import { criticalRow, goalRows } from '../../scripts/eval/goals.ts'
import type { KitScore, LevelFigures } from '../../scripts/eval/kit.ts'
import { qualityPage, withLargeFleet } from '../../scripts/eval/page.ts'

/** 200 attacks, and alerts of one detector: so many on them, so many false. */
function scoreOf(right: number, wrong: number): KitScore {
  const level: LevelFigures = {
    recall_macro: 0.4,
    recall_hard: 0.1,
    key_days: 50_000,
    false_alerts: wrong,
    false_per_100_key_days: wrong / 500,
    precision_alerts: right + wrong === 0 ? null : right / (right + wrong),
    ttd_min_median: 1,
    ttd_min_p90: 10,
    spend_prevented: 0.5,
    attacks: 200,
    detected: right,
    kinds: {},
    benign: {},
    detectors: { volume_spike: { alerts: right + wrong, false_alerts: wrong, first_on: right } },
  }
  return {
    headline: 0.4,
    headline_level: 'warning',
    levels: { info: level, warning: level, critical: level },
  }
}

const fleetOf = (right: number, wrong: number): LargeFleet => ({
  keys: 2_000,
  seed: 7,
  events: 12_000_000,
  minutes: 20,
  score: scoreOf(right, wrong),
})

function pageOf(largeFleet: LargeFleet | undefined): string {
  const measured = {
    fleets: scoreOf(80, 20),
    seeds: [],
    rhythm: undefined,
    nabStandard: undefined,
    isCausal: undefined,
    largeFleet,
  }
  return qualityPage({
    rows: goalRows(measured),
    measured,
    nab: {},
    published: {},
    peers: [],
    run: { seeds: [41], keys: 120, days: 28, events: 1e6, eventsPerSecond: 5_000, machine: 'a machine' },
  })
}

describe('critical alerts that are false', () => {
  test('are those of the large fleet where there is one, else of the fleets that stand in for it', () => {
    const measured = { fleets: scoreOf(80, 20), seeds: [] }
    expect(criticalRow(measured)).toMatchObject({ measured: '0.200', reached: 'missed' })
    expect(criticalRow({ ...measured, largeFleet: fleetOf(97, 3) })).toMatchObject({
      name: 'critical alerts that are false, in a fleet of 2,000 keys',
      measured: '0.030',
      reached: 'goal',
    })
  })

  test('are a larger share where attacks are fewer: the false ones have nothing to do with attacks', () => {
    // 100 alerts on 200 attacks; one attack on 40 of 2,000 keys is 50 attacks and 25 alerts.
    expect(falseShareAt(fleetOf(100, 5), 'critical', 40)).toBeCloseTo(5 / 30, 10)
    expect(falseShareAt(fleetOf(0, 0), 'critical', 40)).toBeUndefined()
  })
})

describe('the page of detection quality', () => {
  test('says what stands in for the large fleet when it was not run', () => {
    expect(pageOf(undefined)).toContain('Not run (`--fleet 2000`)')
    expect(pageOf(fleetOf(97, 3))).toContain('| critical | 97 | 3 | 0.030 | 0.006 | 0.40 |')
  })

  test('takes the figures of a large fleet in place of those it had, and changes nothing else', () => {
    const fleet = fleetOf(97, 3)
    const row = criticalRow({ fleets: fleet.score, seeds: [], largeFleet: fleet })
    const anew = withLargeFleet(pageOf(undefined), fleet, row)
    expect(anew).toBe(pageOf(fleet))
    expect(withLargeFleet(anew, fleet, row)).toBe(anew)
    expect(() => withLargeFleet('# Another page\n', fleet, row)).toThrow('no place for a large fleet')
  })
})
