import { describe, expect, test } from 'vitest'
import { expectedVolume } from '../../src/detect/expected-volume.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { entriesOf, entryAt, spanCount } from '../../src/detect/ledger-spans.ts'
import {
  emptyProfile,
  historyOf,
  isLearning,
  LEDGER_DAYS,
  LEDGER_HOURS,
  storedProfile,
} from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, WEEK_MS } from '../../src/usage/duration.ts'
import { hourOfWeek } from '../../src/usage/hour-of-week.ts'
import fc from '../harness/fast-check.ts'
import { anyHours, profileOf } from './arbitraries.ts'
import { hourOf, isWeekday, learnt, NOON_MS, rollup } from './history.ts'

const office = (hourMs: number) =>
  isWeekday(hourMs) && hourOf(hourMs) >= 9 && hourOf(hourMs) < 17 ? [{ requests: 60 }] : []

describe('learning the hours of a key', () => {
  test('after weeks, what is usual follows the hour of the week', () => {
    const profile = learnt({ days: 28, hour: office })
    const at = (iso: string) => expectedVolume(profile, Date.parse(iso), Date.parse(iso) + HOUR_MS).mean
    expect(at('2026-03-04T11:00:00Z')).toBeGreaterThan(45)
    expect(at('2026-03-04T11:00:00Z')).toBeLessThan(75)
    expect(at('2026-03-04T03:00:00Z')).toBeLessThan(3)
    expect(at('2026-03-07T11:00:00Z')).toBeLessThan(6)
  })

  test('a window over two hours expects a share of each', () => {
    const profile = learnt({ days: 28, hour: (hourMs) => (hourOf(hourMs) === 11 ? [{ requests: 120 }] : []) })
    const whole = expectedVolume(profile, NOON_MS - HOUR_MS, NOON_MS).mean
    const half = expectedVolume(profile, NOON_MS - HOUR_MS / 2, NOON_MS).mean
    expect(half).toBeCloseTo(whole / 2, 6)
  })

  test('the largest request is remembered, fades by half in two weeks, and is not taught by a suspect hour', () => {
    const usual = learnt({ days: 14, hour: () => [{ requests: 3 }], largestTokensPerRequest: 1_500 })
    const after = (largestTokensPerRequest: number, suspect = false) =>
      learnHour(
        usual,
        { hourMs: NOON_MS, rollups: [rollup({ requests: 3 })], suspect, largestTokensPerRequest },
        'UTC',
      ).volume.largestTokensPerRequest
    expect(usual.volume.largestTokensPerRequest).toBe(1_500)
    expect(after(9_000)).toBe(9_000)
    expect(after(9_000, true)).toBe(1_500)
    const once = learnt({
      days: 14,
      hour: (hourMs) => [
        { requests: 3, ...(hourMs === NOON_MS - 14 * DAY_MS ? { inputTokens: 120_000 } : {}) },
      ],
    })
    expect(once.volume.largestTokensPerRequest).toBeCloseTo(40_200 * 0.5 ** ((14 * 24 - 1) / (14 * 24)), -2)
  })

  test('hours without usage between two that are learnt count as zeros, however many', () => {
    const before = learnt({ days: 14, hour: () => [{ requests: 10 }] })
    const soon = learnHour(
      before,
      { hourMs: NOON_MS + 5 * HOUR_MS, rollups: [rollup()], suspect: false },
      'UTC',
    )
    expect(soon.week.taught.reduce((a, b) => a + b)).toBe(14 * 24 + 6)
    const late = learnHour(
      before,
      { hourMs: NOON_MS + 20 * WEEK_MS, rollups: [rollup()], suspect: false },
      'UTC',
    )
    expect(late.week.taught.reduce((a, b) => a + b)).toBe(14 * 24 + 20 * 168 + 1)
    expect(expectedVolume(late, NOON_MS, NOON_MS + HOUR_MS).mean).toBeLessThan(0.5)
  })

  test('an hour that has been learnt changes nothing when it comes again', () => {
    const profile = learnt({ days: 3, hour: () => [{ requests: 10 }] })
    const again = { hourMs: NOON_MS - HOUR_MS, rollups: [rollup({ requests: 999 })], suspect: false }
    expect(learnHour(profile, again, 'UTC')).toBe(profile)
  })

  test('a suspect hour teaches nothing, and keeps what was spent and who was there', () => {
    const before = learnt({ days: 21, hour: () => [{ requests: 10 }] })
    const stolen = [rollup({ requests: 5_000, country: 'RO' })]
    const suspect = learnHour(before, { hourMs: NOON_MS, rollups: stolen, suspect: true }, 'UTC')
    const trusted = learnHour(before, { hourMs: NOON_MS, rollups: stolen, suspect: false }, 'UTC')
    const usual = (profile: typeof before) => expectedVolume(profile, NOON_MS, NOON_MS + HOUR_MS).mean
    expect(usual(suspect)).toBe(usual(before))
    // Growth is capped for everybody: an hour teaches three times the busiest usual one, or 50 requests.
    expect(usual(trusted)).toBeGreaterThan(2 * usual(suspect))
    expect(usual(trusted)).toBeLessThan(5 * usual(before))
    expect(suspect.ledger).toEqual(trusted.ledger)
    expect(suspect.use).toEqual(trusted.use)
    expect(suspect).toMatchObject({
      events: before.events,
      week: before.week,
      volume: before.volume,
      countries: before.countries,
      models: before.models,
      refusals: before.refusals,
    })
  })

  test('a night that is suspect each time never becomes a habit', () => {
    const night = (weeks: number) => {
      const from = NOON_MS - weeks * WEEK_MS
      const profile = learnt({
        days: 56,
        hour: (hourMs) =>
          hourOf(hourMs) === 10 || (hourOf(hourMs) === 3 && hourMs > from) ? [{ requests: 9 }] : [],
        suspect: (hourMs) => hourOf(hourMs) === 3,
      })
      return profile.week.active.reduce((sum, value, slot) => sum + (slot % 24 === 3 ? value : 0), 0)
    }
    const usual = learnt({ days: 56, hour: (hourMs) => (hourOf(hourMs) === 3 ? [{ requests: 9 }] : []) })
    const full = usual.week.active.reduce((a, b) => a + b)
    expect(full).toBeGreaterThan(0)
    expect(night(8)).toBe(0)
  })

  test('another time zone turns the week, and loses nothing of it', () => {
    const profile = learnt({ days: 28, hour: office })
    const hour = { hourMs: NOON_MS, rollups: [rollup({ requests: 60 })], suspect: false }
    const turned = learnHour(profile, hour, 'Asia/Tokyo')
    expect(turned.timeZone).toBe('Asia/Tokyo')
    const atMs = NOON_MS + 6 * DAY_MS
    expect(turned.week.requests[hourOfWeek(atMs, 'Asia/Tokyo')]).toBe(
      profile.week.requests[hourOfWeek(atMs, 'UTC')],
    )
    expect(learnHour(turned, { ...hour, hourMs: NOON_MS + HOUR_MS }, 'UTC').week.taught).toEqual(
      learnHour(learnHour(profile, hour, 'UTC'), { ...hour, hourMs: NOON_MS + HOUR_MS }, 'UTC').week.taught,
    )
  })

  test('the ledger keeps two days by the hour and five weeks by the day', () => {
    const profile = learnt({ days: 60, hour: () => [{ requests: 2, costNanoUsd: 7, unpriced: 1 }] })
    expect(entriesOf(profile.ledger.hours, NOON_MS - LEDGER_HOURS * HOUR_MS)).toHaveLength(LEDGER_HOURS)
    expect(spanCount(profile.ledger.days)).toBe(LEDGER_DAYS)
    expect(entryAt(profile.ledger.hours, -1)).toEqual([NOON_MS - HOUR_MS, 2, 7, 1])
    expect(entryAt(profile.ledger.days, -2)).toEqual([Date.parse('2026-03-03T00:00:00Z'), 48, 7 * 24, 24])
  })

  test('a ledger that was stored with an array for each span loads', () => {
    const profile = learnt({ days: 9, hour: () => [{ requests: 2, costNanoUsd: 7 }] })
    const { hours, days } = profile.ledger
    const stored = { ...profile, ledger: { hours: entriesOf(hours), days: entriesOf(days) } }
    expect(storedProfile(structuredClone(stored))).toEqual(profile)
    expect(storedProfile(structuredClone(profile))).toEqual(profile)
  })

  test('a key is being learnt until it is old enough and has been used enough', () => {
    const profile = learnt({ days: 4, hour: (hourMs) => (hourOf(hourMs) === 9 ? [{ requests: 5 }] : []) })
    expect(historyOf(profile, NOON_MS)).toEqual({ days: 4, events: 20 })
    expect(isLearning(profile, { min_history: 4 * DAY_MS, min_events: 20 }, NOON_MS)).toBe(false)
    expect(isLearning(profile, { min_history: 4 * DAY_MS + 1, min_events: 20 }, NOON_MS)).toBe(true)
    expect(isLearning(profile, { min_history: 0, min_events: 21 }, NOON_MS)).toBe(true)
  })
})

describe('a profile', () => {
  test('survives JSON without loss, whatever it has learnt', () => {
    fc.assert(
      fc.property(anyHours, (hours) => {
        const profile = profileOf(hours)
        expect(JSON.parse(JSON.stringify(profile))).toEqual(profile)
      }),
      { numRuns: 50 },
    )
  })

  test('is never changed in place', () => {
    const empty = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS, timeZone: 'UTC' })
    const text = JSON.stringify(empty)
    learnHour(empty, { hourMs: NOON_MS, rollups: [rollup()], suspect: false }, 'UTC')
    expect(JSON.stringify(empty)).toBe(text)
  })

  test('of a busy key that uses ten models from ten countries stays below 14 KB', () => {
    const profile = learnt({
      days: 60,
      hour: (hourMs) =>
        Array.from({ length: 10 }, (_, i) => ({
          requests: 1_000 + ((hourMs / HOUR_MS + i) % 977),
          model: `provider/some-model-with-a-name-${i}`,
          country: String.fromCharCode(65 + i, 65 + i),
        })),
    })
    expect(JSON.stringify(profile).length).toBeLessThan(14_000)
  })

  test('is forgetful where an attacker could make it grow without end', () => {
    const profile = learnt({ days: 20, hour: (hourMs) => [{ model: `model-${hourMs}` }] })
    expect(profile.models.length).toBeLessThanOrEqual(40)
    expect(profile.models.at(-1)?.value).toBe(`model-${NOON_MS - HOUR_MS}`)
  })
})
