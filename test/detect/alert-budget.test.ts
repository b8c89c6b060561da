import { describe, expect, test } from 'vitest'
import { BUDGET_PARTS, calibrationOf, partOf, withinBudget } from '../../src/detect/alert-budget.ts'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { find, learnt, NOON_MS, usage } from './history.ts'

const profile = learnt({ days: 14, hour: () => [{ requests: 20 }] })
const auto = { enabled: true, severity: 'auto' } as const

function finding(score: number | undefined, severity: Finding['severity'] = 'warning'): Finding {
  const [found] = find(volumeSpike, { usage: usage([{ requests: 900 }], NOON_MS), profile, nowMs: NOON_MS })
  if (found === undefined) throw new Error('nothing was found')
  const { score: _, ...rest } = found
  return score === undefined ? { ...rest, severity } : { ...rest, severity, score }
}

describe('the alert budget', () => {
  test('is shared out whole, to detectors that grade their findings', () => {
    const parts = Object.values(BUDGET_PARTS)
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(1, 10)
    for (const name of Object.keys(BUDGET_PARTS)) {
      const detector = DETECTORS.find((one) => one.name === name)
      expect(detector?.settings.parse({})).toMatchObject({ severity: 'auto' })
      expect(Object.keys(detector?.settings.shape ?? {})).toContain('false_alerts_per_100_key_days')
    }
    expect(partOf('ip_allowlist', 2)).toBeUndefined()
  })

  test('a part of 0.1 false alerts per 100 key-days asks for a score of 3: once in 1,000 days of the key', () => {
    const settings = { ...auto, false_alerts_per_100_key_days: 0.1 }
    expect(calibrationOf('volume_spike', settings, profile)).toMatchObject({ threshold: 3 })
  })

  test('a warning that the key itself brings more often than the budget allows is info; the evidence says what decided', () => {
    const calibration = calibrationOf(
      'volume_spike',
      { ...auto, false_alerts_per_100_key_days: 0.1 },
      profile,
    )
    expect(withinBudget(finding(2.9), calibration)).toMatchObject({
      severity: 'info',
      evidence: { score: 2.9, score_for_warning: 3, tail_scale: expect.any(Number) as number },
    })
    expect(withinBudget(finding(3), calibration)).toMatchObject({
      severity: 'warning',
      evidence: { score: 3 },
    })
  })

  test('an info stays info, however rare it is', () => {
    const calibration = calibrationOf('volume_spike', auto, profile)
    expect(withinBudget(finding(9, 'info'), calibration).severity).toBe('info')
  })

  test('a severity that the operator fixed stays as it is, with its score', () => {
    const fixed = calibrationOf('volume_spike', { enabled: true, severity: 'warning' }, profile)
    expect(fixed).toBeUndefined()
    expect(withinBudget(finding(0.1), fixed)).toMatchObject({ severity: 'warning', evidence: { score: 0.1 } })
  })

  test('a limit of the operator has no score, and none is made up', () => {
    expect(withinBudget(finding(undefined), undefined).evidence).not.toHaveProperty('score')
  })

  test('a larger budget also lets a detector speak of less rare volumes', () => {
    const spread = Array.from({ length: 58 }, (_, ago) => ({ requests: 1, ago }))
    const spike = usage(spread, NOON_MS + 59 * MINUTE_MS)
    const spoken = [0.02, 0.1, 5, 60].map(
      (budget) =>
        find(
          volumeSpike,
          { usage: spike, profile, nowMs: NOON_MS + 59 * MINUTE_MS },
          { false_alerts_per_100_key_days: budget },
        ).length,
    )
    expect(spoken).toEqual(spoken.toSorted((a, b) => a - b))
    expect(spoken.at(0)).toBe(0)
    expect(spoken.at(-1)).toBe(1)
  })
})
