import { describe, expect, test } from 'vitest'
import { chanceAt, presenceOf } from '../../src/detect/presence.ts'
import { HOURS_OF_WEEK } from '../../src/usage/hour-of-week.ts'
import fc from '../harness/fast-check.ts'
import { anyHours, profileOf, steadyHours } from './arbitraries.ts'

describe('the presence of a key', () => {
  test('is the same for one hour of the week alone as for it within the whole week, and never certain', () => {
    fc.assert(
      fc.property(fc.oneof(anyHours, steadyHours), (hours) => {
        const { week } = profileOf(hours)
        const presence = presenceOf(week)
        expect(presence.typical).toBeLessThan(1)
        for (let slot = 0; slot < HOURS_OF_WEEK; slot += 1)
          expect(chanceAt(week, slot)).toBeCloseTo(presence.chances[slot] ?? Number.NaN, 9)
      }),
      { numRuns: 100 },
    )
  })

  test('has as tail of an hour the share of the use that falls into hours as quiet as it', () => {
    fc.assert(
      fc.property(anyHours, fc.nat({ max: HOURS_OF_WEEK - 1 }), (hours, slot) => {
        const { chances, ...presence } = presenceOf(profileOf(hours).week)
        const quieter = chances.filter((chance) => chance <= (chances[slot] ?? 1))
        const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
        expect(presence.tailOf(slot)).toBeCloseTo(sum(quieter) / sum(chances), 9)
      }),
    )
  })
})
