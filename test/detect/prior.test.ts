import { describe, expect, test } from 'vitest'
import { endsDay, habitOf, HABIT_KEPT_MS, type KeyHabit } from '../../src/detect/key-habit.ts'
import { newcomerChance, priorChance, priorFor, priorsOf, type Spread } from '../../src/detect/prior.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import fc from '../harness/fast-check.ts'
import { learnt, NOON_MS } from './history.ts'

/** A key that makes up to 100 requests an hour, of 1,000 tokens and a tenth of a cent each. */
function habit(number: number, more: Partial<KeyHabit> = {}): KeyHabit {
  return {
    keyId: `key-${number}`,
    teamId: undefined,
    firstSeenMs: NOON_MS - 20 * DAY_MS,
    untilMs: NOON_MS,
    peakRequests: 100,
    peakFiveMinutes: 20,
    peakTokens: 100_000,
    peakCostNanoUsd: 1e8,
    peakTokensPerRequest: 1_000,
    costNanoUsdPerRequest: 1e6,
    countries: ['US'],
    models: ['gpt-4o'],
    places: [],
    ...more,
  }
}

const fleetOf = (count: number, more: (number: number) => Partial<KeyHabit> = () => ({})) =>
  Array.from({ length: count }, (_, number) => habit(number, more(number)))

describe('what a key tells of its fleet', () => {
  const steady = learnt({
    days: 5,
    hour: () => [
      { requests: 12, refused: 2 },
      { model: 'o3', country: 'CA' },
    ],
  })

  test('is its highest hours, the size of its requests, and the models and countries that it uses', () => {
    expect(habitOf(steady, 'web')).toMatchObject({
      keyId: 'key-7',
      teamId: 'web',
      untilMs: NOON_MS,
      peakRequests: 11,
      peakTokensPerRequest: 1_000,
      costNanoUsdPerRequest: 1_000_000,
      countries: ['CA', 'US'],
      models: ['gpt-4o', 'o3'],
    })
  })

  test('is nothing before the key itself is known, and nothing of hours under an alert', () => {
    expect(habitOf(learnt({ days: 2, hour: () => [{ requests: 12 }] }), 'web')).toBeUndefined()
    const stolen = learnt({
      days: 5,
      hour: (hourMs) => [{ requests: hourMs >= NOON_MS - 5 * HOUR_MS ? 50_000 : 12, country: 'RO' }],
      suspect: (hourMs) => hourMs >= NOON_MS - 5 * HOUR_MS,
    })
    expect(habitOf(stolen, 'web')?.peakRequests).toBeLessThanOrEqual(12)
  })

  test('is taken when a day of UTC has ended, and not in between', () => {
    const until = (learnedUntilMs: number) => ({ ...steady, learnedUntilMs })
    expect(endsDay(until(NOON_MS), until(NOON_MS + 11 * HOUR_MS))).toBe(false)
    expect(endsDay(until(NOON_MS), until(NOON_MS + 12 * HOUR_MS))).toBe(true)
    expect(endsDay(undefined, { ...steady, firstSeenMs: NOON_MS - HOUR_MS })).toBe(false)
    expect(endsDay(undefined, steady)).toBe(true)
  })
})

describe('the habit of a fleet', () => {
  test('is unknown with less than ten keys', () => {
    expect(priorsOf(fleetOf(9), NOON_MS).fleet).toBeUndefined()
    expect(priorsOf(fleetOf(10), NOON_MS).fleet).toMatchObject({ of: 'fleet', keys: 10 })
  })

  test('is that of the team where the team has ten keys, else that of the fleet', () => {
    const priors = priorsOf(
      fleetOf(24, (number) => ({ teamId: number < 14 ? 'web' : number < 20 ? 'data' : undefined })),
      NOON_MS,
    )
    const judging = (teamId: string | undefined) => priorFor(priors, { teamId, firstSeenMs: NOON_MS })
    expect(judging('web')).toMatchObject({ of: 'team', teamId: 'web', keys: 14 })
    expect(judging('data')).toMatchObject({ of: 'fleet', keys: 24 })
    expect(judging(undefined)).toMatchObject({ of: 'fleet', keys: 24 })
  })

  test('judges keys that came when it had been watched for a week, not those that were there from the start', () => {
    const priors = priorsOf(
      fleetOf(30, (number) =>
        number < 15 ? { teamId: 'young', firstSeenMs: NOON_MS - 4 * DAY_MS } : { teamId: 'old' },
      ),
      NOON_MS,
    )
    const judging = (teamId: string, days: number) =>
      priorFor(priors, { teamId, firstSeenMs: NOON_MS - days * DAY_MS })
    expect(judging('old', 1)).toMatchObject({ of: 'team' })
    expect(judging('old', 13)).toMatchObject({ of: 'team' })
    expect(judging('old', 14)).toBeUndefined()
    // A team that has just been founded has no habit yet: its keys are held against the fleet's.
    expect(judging('young', 1)).toMatchObject({ of: 'fleet' })
  })

  test('forgets keys that were not used for four weeks, and knows nothing of what is learnt later', () => {
    const old = fleetOf(12, (number) => ({ untilMs: number < 3 ? NOON_MS - HABIT_KEPT_MS : NOON_MS }))
    expect(priorsOf(old, NOON_MS).fleet).toBeUndefined()
    expect(priorsOf(fleetOf(12), NOON_MS - 1).fleet).toBeUndefined()
  })

  test('one stolen key in twenty does not move it, however much it makes', () => {
    const clean = priorsOf(
      fleetOf(20, (number) => ({ peakRequests: 50 + 10 * number })),
      NOON_MS,
    )
    const poisoned = priorsOf(
      fleetOf(20, (number) => ({ peakRequests: number === 19 ? 1e9 : 50 + 10 * number })),
      NOON_MS,
    )
    expect(poisoned.fleet?.peakRequests).toEqual(clean.fleet?.peakRequests)
  })

  test('a value that few keys have at all is unknown: none is not zero', () => {
    const priors = priorsOf(
      fleetOf(20, (number) => (number < 15 ? { peakCostNanoUsd: 0 } : {})),
      NOON_MS,
    )
    expect(priors.fleet?.peakCostNanoUsd).toBeUndefined()
    expect(priors.fleet?.peakRequests).toBeDefined()
  })
})

describe('where a fleet is at home', () => {
  const frankfurt = { latitude: 50.1, longitude: 8.7 }
  const nearby = { latitude: 49.9, longitude: 8.3 }
  const tokyo = { latitude: 35.7, longitude: 139.8 }
  const sites = (places: readonly (readonly { latitude: number; longitude: number }[])[]) =>
    priorsOf(
      fleetOf(12, (number) => ({ places: places[number] ?? [] })),
      NOON_MS,
    ).sites

  test('is where three keys are, taken for one place within its surroundings; a key counts once', () => {
    expect(sites([[frankfurt], [nearby], [frankfurt], [tokyo], [tokyo]])).toEqual([{ ...frankfurt, keys: 3 }])
    expect(sites([[frankfurt, nearby], [frankfurt]])).toEqual([])
    expect(
      priorsOf(
        fleetOf(9, () => ({ places: [frankfurt] })),
        NOON_MS,
      ).sites,
    ).toBeUndefined()
  })

  const from = (places: readonly { latitude: number; longitude: number }[], days: number) =>
    learnt({ days, hour: () => [{ requests: 12 }], places: () => places })

  test('a key is at home where it has been used for three days and still is, unless it is used from everywhere', () => {
    expect(habitOf(from([frankfurt], 5), undefined)?.places).toEqual([frankfurt])
    expect(habitOf(from([], 5), undefined)?.places).toEqual([])
    const lately = learnt({
      days: 5,
      hour: () => [{ requests: 12 }],
      places: (hourMs) => (hourMs >= NOON_MS - 2 * DAY_MS ? [frankfurt, tokyo] : [frankfurt]),
    })
    expect(habitOf(lately, undefined)?.places).toEqual([frankfurt])
    const everywhere = [0, 20, 40, 60, 80].map((longitude) => ({ latitude: 10, longitude }))
    expect(habitOf(from(everywhere, 5), undefined)?.places).toEqual([])
  })
})

describe('the chance that a key comes to so much', () => {
  const group: Spread = { keys: 40, center: Math.log(100), deviation: 1, high: 600 }
  const chance = (observed: number, own?: { value: number; hours: number }) =>
    Math.exp(priorChance(group, own, observed).logChance)

  test('is a half at the middle of the group, and falls from there', () => {
    expect(chance(100)).toBeCloseTo(0.5, 10)
    expect(chance(1_000)).toBeLessThan(0.02)
    expect(chance(10_000)).toBeLessThan(1e-4)
  })

  test("what the key itself has shown counts, and for more the longer it was used; the group's part fades", () => {
    const quiet = { value: 3, hours: 10 }
    expect(chance(1_000, quiet)).toBeLessThan(chance(1_000))
    expect(chance(1_000, { value: 500, hours: 10 })).toBeGreaterThan(chance(1_000))
    const weights = [0, 10, 60].map((hours) => priorChance(group, { value: 3, hours }, 100).weight)
    expect(weights[0]).toBe(1)
    expect(weights).toEqual(weights.toSorted((a, b) => b - a))
  })

  test('few keys make it more careful than many that are alike', () => {
    const few = Math.exp(priorChance({ ...group, keys: 10 }, undefined, 5_000).logChance)
    expect(few).toBeGreaterThan(10 * chance(5_000))
  })

  test('is a chance for any group and any key, and never rises with what is observed', () => {
    const positive = fc.double({ min: 1e-3, max: 1e15, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(positive, { minLength: 10, maxLength: 60 }),
        fc.option(
          fc.record({ value: fc.double({ min: 0, max: 1e15, noNaN: true }), hours: fc.nat({ max: 60 }) }),
          {
            nil: undefined,
          },
        ),
        positive,
        fc.double({ min: 1, max: 1e3, noNaN: true }),
        (peaks, own, observed, times) => {
          const fleet = peaks.map((peakRequests, number) => habit(number, { peakRequests }))
          const spread = priorsOf(fleet, NOON_MS).fleet?.peakRequests
          if (spread === undefined) throw new Error('ten keys are a fleet')
          const { logChance, low, high, weight } = priorChance(spread, own, observed)
          expect(logChance).toBeLessThanOrEqual(0)
          for (const value of [low, high, weight, spread.high]) expect(value).not.toBeNaN()
          expect(priorChance(spread, own, observed * times).logChance).toBeLessThanOrEqual(logChance + 1e-9)
        },
      ),
    )
  })
})

test('a value that no key of the group uses is the rarer the fewer keys are alone with theirs', () => {
  const users = (counts: readonly number[]) => new Map(counts.map((count, at) => [`model-${at}`, count]))
  expect(newcomerChance({ keys: 49, users: users([49, 20]) })).toBeCloseTo(0.01, 10)
  expect(newcomerChance({ keys: 49, users: users([49, 1, 1, 1, 1]) })).toBeCloseTo(0.09, 10)
  expect(newcomerChance({ keys: 3, users: users([1, 1, 1, 1, 1]) })).toBe(1)
})
