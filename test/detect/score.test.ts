import { describe, expect, test } from 'vitest'
import {
  beyondPeakRate,
  habitRate,
  scoreOfChance,
  scoreOfRate,
  scoreOfSurprise,
} from '../../src/detect/score.ts'
import fc from '../harness/fast-check.ts'

describe('the score of a finding', () => {
  test('is -log10 of how many such findings a day of the key brings by itself: 2 is once in 100 days', () => {
    expect(scoreOfRate(1 / 100)).toBe(2)
    expect(scoreOfRate(1 / 1000)).toBe(3)
    expect(scoreOfSurprise(Math.log(1000))).toBe(3)
  })

  test('counts every look of the day: a chance of 1e-6 in each of 24 hours is once in 42,000 days', () => {
    expect(scoreOfChance(Math.log(1e-6), 24)).toBe(4.62)
  })

  test('is 0 for what happens daily and more often, and has an end for what never happens', () => {
    expect(scoreOfRate(1)).toBe(0)
    expect(scoreOfRate(50)).toBe(0)
    expect(scoreOfChance(-Infinity, 24)).toBe(300)
    expect(scoreOfRate(0)).toBe(300)
    expect(scoreOfSurprise(Number.NaN)).toBe(0)
  })
})

describe('the rate of rare events of a key', () => {
  test('is that of a typical key while it is new, and falls the longer it has none', () => {
    expect(habitRate(0, 0)).toBeCloseTo(1 / 400, 10)
    expect(habitRate(0, 400)).toBeLessThan(habitRate(0, 30))
    expect(habitRate(3, 30)).toBeGreaterThan(habitRate(1, 30))
  })
})

describe('the rate at which a largest value is exceeded', () => {
  test('is once in the days it was watched at the largest itself, and falls with a power beyond it', () => {
    expect(beyondPeakRate({ observed: 10, peak: 10, days: 50 }, 2)).toBeCloseTo(1 / 50, 10)
    expect(beyondPeakRate({ observed: 30, peak: 10, days: 50 }, 2)).toBeCloseTo(1 / 450, 10)
    expect(beyondPeakRate({ observed: 5, peak: 10, days: 50 }, 2)).toBeCloseTo(1 / 50, 10)
  })

  test('makes a score of anything', () => {
    const any = fc.double({ min: 0, max: 1e12, noNaN: true })
    fc.assert(
      fc.property(any, any, any, (observed, peak, days) => {
        const score = scoreOfRate(beyondPeakRate({ observed, peak, days }, 2))
        expect(score).toBeGreaterThanOrEqual(0)
        expect(score).toBeLessThanOrEqual(300)
      }),
    )
  })
})
