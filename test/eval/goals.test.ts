import { describe, expect, test } from 'vitest'
import { goalRows } from '../../scripts/eval/goals.ts'
import type { KitScore, LevelFigures } from '../../scripts/eval/kit.ts'

const level = (more: Partial<LevelFigures> = {}): LevelFigures => ({
  recall_macro: 0.8,
  recall_hard: 0.5,
  key_days: 1_000,
  false_alerts: 5,
  false_per_100_key_days: 0.5,
  precision_alerts: 0.7,
  ttd_min_median: 0.2,
  ttd_min_p90: 20,
  spend_prevented: 0.7,
  attacks: 10,
  detected: 8,
  kinds: { token_inflation: { attacks: 2, recall_any: 1, ttd_min_median: 1 } },
  benign: { region_move: { windows: 4, false_alerts: 1, windows_alerted: 1 } },
  detectors: {},
  ...more,
})
const score = (more: Partial<LevelFigures> = {}): KitScore => ({
  headline: 0.8,
  headline_level: 'warning',
  levels: { info: level(more), warning: level(more), critical: level(more) },
})
const reached = (name: string, more: Partial<LevelFigures>) =>
  goalRows({
    fleets: score(more),
    seeds: [],
    rhythm: undefined,
    nabStandard: undefined,
    isCausal: undefined,
  }).find((row) => row.name.startsWith(name))?.reached

describe('the table of goals', () => {
  test.each([
    [0.25, 'goal'],
    [0.26, 'gate'],
    [1, 'gate'],
    [1.1, 'missed'],
  ])('a median of %d minutes: %s', (minutes, verdict) => {
    expect(reached('median time', { ttd_min_median: minutes })).toBe(verdict)
  })

  test('what was not measured is not reached', () => {
    expect(reached('NAB', {})).toBe('not run')
    expect(reached('real rhythm: recall', {})).toBe('not run')
    expect(reached('precision', { precision_alerts: null })).toBe('not run')
  })

  test('more is better for recall, less for benign windows', () => {
    expect(reached('hard kinds', { recall_hard: 0.34 })).toBe('missed')
    expect(reached('windows of benign', {})).toBe('gate')
  })

  test('the spread is that of the seeds alone', () => {
    const [headline] = goalRows({
      fleets: score(),
      seeds: [
        { ...score(), headline: 0.6 },
        { ...score(), headline: 0.9 },
      ],
      rhythm: undefined,
      nabStandard: undefined,
      isCausal: undefined,
    })
    expect(headline?.spread).toBe('0.60 to 0.90')
  })
})
