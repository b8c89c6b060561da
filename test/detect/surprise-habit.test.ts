import { describe, expect, test } from 'vitest'
import { NO_SURPRISES, tailScale, withSurprise, type SurpriseHabit } from '../../src/detect/surprise-habit.ts'
import { learnt, NOON_MS } from './history.ts'
import { storedProfile } from '../../src/detect/profile.ts'
import { volumeScale } from '../../src/detect/volume-test.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import fc from '../harness/fast-check.ts'

const NONE = NO_SURPRISES.volume_spike
const PRIOR = 2

/** The record after days with these largest surprises. */
function after(largest: readonly number[], suspect: (day: number) => boolean = () => false): SurpriseHabit {
  let habit = NONE
  for (const [day, nats] of [...largest, 0].entries())
    habit = withSurprise(habit, { hourMs: NOON_MS + day * DAY_MS, nats, suspect: suspect(day) })
  return habit
}

/** Quantiles of the exponential of that scale: what the days of a key look like whose tails are so much longer. */
function days(count: number, scale: number): number[] {
  return Array.from(
    { length: count },
    (_, index) => -scale * Math.log((((index * 79) % count) + 0.5) / count),
  )
}

describe('the calibration of a key by its own past', () => {
  test('takes a key of which nothing is known for a typical one', () => {
    expect(tailScale(NONE, PRIOR)).toBe(PRIOR)
  })

  test('finds the scale of the daily largest surprises: 1 where the model is right, 4 where tails are four times as long', () => {
    expect(tailScale(after(days(200, 1)), 1)).toBeCloseTo(1, 1)
    const scale = tailScale(after(days(200, 4)), PRIOR)
    expect(scale).toBeGreaterThan(2.8)
    expect(scale).toBeLessThan(4)
  })

  test('keeps the largest of each day only, however many hours it has', () => {
    const hours = Array.from({ length: 10 }, (_, hour) => hour)
    const one = hours.reduce(
      (habit, hour) =>
        withSurprise(habit, { hourMs: NOON_MS + hour * HOUR_MS, nats: hour === 3 ? 6 : 1, suspect: false }),
      NONE,
    )
    expect(one.largest).toBe(6)
    expect(
      tailScale(withSurprise(one, { hourMs: NOON_MS + DAY_MS, nats: 0, suspect: false }), 1),
    ).toBeGreaterThan(1)
  })

  test('learns nothing from a day under alert', () => {
    const calm = after(days(20, 1))
    const attacked = after([...days(20, 1), 40], (day) => day === 20)
    expect(attacked.squares).toBeLessThanOrEqual(calm.squares)
    expect(tailScale(attacked, PRIOR)).toBeCloseTo(tailScale(calm, PRIOR), 1)
  })

  test('one day beyond all measure does not silence a key for weeks', () => {
    expect(tailScale(after([...days(20, 1), 1e9]), PRIOR)).toBeLessThan(6)
  })

  test('is a finite scale of 1 or more for any surprises', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e6, max: 1e6 })), (largest) => {
        const scale = tailScale(after(largest), PRIOR)
        expect(scale).toBeGreaterThanOrEqual(1)
        expect(Number.isFinite(scale)).toBe(true)
      }),
    )
  })

  test('a key that strays far from its habit on clean days has longer tails than one that keeps to it', () => {
    const steady = learnt({ days: 28, hour: () => [{ requests: 20 }] })
    const bursty = learnt({
      days: 28,
      hour: (hourMs) => [{ requests: (hourMs / HOUR_MS) % 61 === 0 ? 900 : 20 }],
    })
    expect(volumeScale(steady)).toBeLessThan(2)
    expect(volumeScale(bursty)).toBeGreaterThan(volumeScale(steady) + 1)
  })

  test('a profile that was stored before calibration was known loads, and is calibrated as a typical key', () => {
    const { surprises: _, ...old } = learnt({ days: 14, hour: () => [{ requests: 20 }] })
    const loaded = storedProfile(JSON.parse(JSON.stringify(old)) as typeof old)
    expect(volumeScale(loaded)).toBe(PRIOR)
  })

  test('a profile that was stored before largest requests were known loads, and knows none', () => {
    const { volume, ...old } = learnt({ days: 14, hour: () => [{ requests: 20 }] })
    const { largestTokensPerRequest: _, ...oldVolume } = volume
    const loaded = storedProfile({ ...old, volume: oldVolume })
    expect(loaded.volume).toEqual({ ...volume, largestTokensPerRequest: 0 })
  })
})
