import { describe, expect, test } from 'vitest'
import { DETECTORS } from '../../src/detect/registry.ts'
import { grouped } from '../../src/detect/sentence.ts'
import { sixDigits } from '../../src/detect/six-digits.ts'
import { Trace } from '../../src/detect/trace.ts'
import { volumeExcesses } from '../../src/detect/volume-test.ts'
import { KeyHistory } from '../../src/store/memory/key-history.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { sumRollups, type KeyUsage } from '../../src/usage/key-usage.ts'
import { enrichedEvent } from '../harness/builders.ts'
import fc from '../harness/fast-check.ts'
import { anyHours, anyUsage, profileOf, steadyHours } from './arbitraries.ts'
import { find, learnt, NOON_MS, usage } from './history.ts'

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
  (_name, detector) => {
    test('finds what it finds when it looks at everything', () => {
      const eager = eagerSettings(detector)
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

    test('finds the same when somebody listens, and it must look at everything', () => {
      fc.assert(
        fc.property(fc.oneof(anyHours, steadyHours), anyUsage, (hours, { usage, nowMs }) => {
          const profile = profileOf(hours)
          for (const settings of [{}, eagerSettings(detector)]) {
            const parsed = detector.settings.parse(settings) as never
            const judged = { usage, profile, settings: parsed, nowMs }
            expect(detector.detect(judged)).toEqual(detector.detect(judged, new Trace()))
          }
        }),
        { numRuns: 40 },
      )
    })
  },
)

const PLACES = [
  { country: 'US', latitude: 40.7, longitude: -74 },
  { country: 'GB', latitude: 51.5, longitude: -0.1 },
  { country: 'VN', latitude: 21, longitude: 105.8 },
  undefined,
]

describe('volume_spike, in a hurry, at its threshold', () => {
  const steady = learnt({ days: 28, hour: () => [{ requests: 12 }] })
  const excesses = (requests: number, windowMs: number, nowMs: number, trace?: Trace) => {
    const metrics = ['requests', 'tokens', 'cost'] as const
    const thresholds = { logChance: Math.log(0.5), minRequests: 5 }
    const judged = { usage: usage([{ ago: 1, requests }], nowMs), profile: steady, nowMs }
    return volumeExcesses(judged, { metrics, windows: [windowMs] }, thresholds, trace)
  }

  test.each([5, 10, 30, 60])(
    'a window of %i minutes holds too much from the same request on as when everything is looked at',
    (minutes) => {
      for (const nowMs of [NOON_MS + 30_000, NOON_MS + 20 * MINUTE_MS]) {
        let fired = 0
        for (let requests = 5; requests < 80; requests += 1) {
          const found = excesses(requests, minutes * MINUTE_MS, nowMs)
          expect(found).toEqual(excesses(requests, minutes * MINUTE_MS, nowMs, new Trace()))
          if (found.length > 0) fired += 1
        }
        // It fires at some of these counts and is quiet at others, so the threshold was crossed.
        expect(fired).toBeGreaterThan(0)
        expect(fired).toBeLessThan(75)
      }
    },
  )
})

/** A request of the key of `profileOf`, so long after the one before, from one of the addresses of its past. */
const anyRequest = fc.record({
  afterMs: fc.oneof(
    { weight: 8, arbitrary: fc.nat({ max: 5_000 }) },
    { weight: 2, arbitrary: fc.nat({ max: 2 * MINUTE_MS }) },
    { weight: 1, arbitrary: fc.nat({ max: 20 * MINUTE_MS }) },
  ),
  model: fc.constantFrom('gpt-4o', 'o3', 'o1-pro'),
  number: fc.nat({ max: 5 }),
  inputTokens: fc.constantFrom(0, 1_000, 500_000),
  statusCode: fc.constantFrom(200, 200, 429),
})

describe('a key that is judged again and again while its profile is the same', () => {
  test('is found to do what it is found to do at first sight, by its rows alone', () => {
    const all = DETECTORS.map((detector) => ({
      detector,
      settings: detector.settings.parse(eagerSettings(detector)) as never,
    }))
    fc.assert(
      fc.property(
        fc.oneof(anyHours, steadyHours),
        fc.array(anyRequest, { minLength: 30, maxLength: 70 }),
        (hours, requests) => {
          const profile = profileOf(hours)
          const history = new KeyHistory({ keyId: 'key-7', teamId: undefined, environment: undefined })
          let atMs = NOON_MS
          for (const { afterMs, number, ...request } of requests) {
            atMs += afterMs
            const from = { place: PLACES[number % PLACES.length], ip: `10.${number % 3}.0.${number}` }
            history.add(enrichedEvent({ ...request, ...from, keyId: 'key-7', timestampMs: atMs }))
            const nowMs = Math.ceil(atMs / 10_000) * 10_000
            history.prune(nowMs)
            const usage = history.recentUsage(nowMs)
            const atFirstSight = {
              usage: { key: usage.key, rollups: usage.rollups, sources: usage.sources },
              profile: structuredClone(profile),
              nowMs,
            }
            for (const { detector, settings } of all)
              expect(detector.detect({ usage, profile, settings, nowMs })).toEqual(
                detector.detect({ ...atFirstSight, settings }),
              )
          }
        },
      ),
      { numRuns: 12 },
    )
  })
})

function eagerSettings(detector: (typeof DETECTORS)[number]): Record<string, unknown> {
  return WITHOUT_LEARNING.has(detector.name) || !('min_history' in detector.settings.shape) ? {} : EAGER
}

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
