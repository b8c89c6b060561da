import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DETECTORS } from '../../src/detect/registry.ts'
import { grouped } from '../../src/detect/sentence.ts'
import { sixDigits } from '../../src/detect/six-digits.ts'
import { sumRollups, type KeyUsage } from '../../src/usage/key-usage.ts'
import { anyHours, anyUsage, profileOf } from './arbitraries.ts'
import { find } from './history.ts'

/** Settings under which detectors speak most. */
const EAGER = { min_history: '0s', min_events: 0 }
const WITHOUT_LEARNING = new Set([
  'spend_threshold',
  'ip_allowlist',
  'key_age',
  'unpriced_traffic',
  'dormant_key',
])

/** The same usage with a digest that knows no short cut: sums are added up, and values have to be looked for. */
function withoutShortCuts(usage: KeyUsage, nowMs: number): KeyUsage {
  const none = { models: undefined, countries: undefined, addresses: undefined, coordinates: undefined }
  return {
    ...usage,
    digest: {
      ...none,
      nowMs,
      since: (fromMs) =>
        sumRollups(usage.rollups.filter(({ bucketMs }) => bucketMs >= fromMs && bucketMs <= nowMs)),
    },
  }
}

describe.each(DETECTORS.map((detector) => [detector.name, detector] as const))(
  '%s, in a hurry',
  (name, detector) => {
    test('finds what it finds when it looks at everything', () => {
      const eager = WITHOUT_LEARNING.has(name) || !('min_history' in detector.settings.shape) ? {} : EAGER
      fc.assert(
        fc.property(anyHours, anyUsage, (hours, { usage, nowMs }) => {
          const profile = profileOf(hours)
          for (const settings of [{}, eager]) {
            expect(find(detector, { usage, profile, nowMs }, settings)).toEqual(
              find(detector, { usage: withoutShortCuts(usage, nowMs), profile, nowMs }, settings),
            )
          }
        }),
        { numRuns: 40 },
      )
    })
  },
)

describe('quick writing of numbers', () => {
  test('six digits are those of toPrecision, at every size and at every half', () => {
    const size = fc.integer({ min: -12, max: 24 }).map((exponent) => 10 ** exponent)
    const anyDouble = fc.double({ noNaN: true, noDefaultInfinity: true })
    const half = fc.tuple(fc.integer({ min: 0, max: 1_999_999 }), size).map(([n, unit]) => (n / 2) * unit)
    const scaled = fc
      .tuple(fc.double({ min: -1, max: 1, noNaN: true }), size)
      .map(([share, unit]) => share * unit)
    fc.assert(
      fc.property(fc.oneof(anyDouble, half, scaled, size), (value) => {
        expect(sixDigits(value)).toBe(Number(value.toPrecision(6)))
      }),
      { numRuns: 20_000 },
    )
    expect(sixDigits(0)).toBe(0)
  })

  test('commas are where Intl puts them', () => {
    const count = fc.oneof(
      fc.double({ min: -1e17, max: 1e17, noNaN: true }),
      fc.integer({ min: -2_000_000, max: 2_000_000 }),
    )
    fc.assert(
      fc.property(count, (value) => {
        expect(grouped(value)).toBe(Math.round(value).toLocaleString('en-US'))
      }),
      { numRuns: 2_000 },
    )
  })
})
