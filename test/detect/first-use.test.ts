import { describe, expect, test } from 'vitest'
import { unfamiliarModel } from '../../src/detect/detectors/unfamiliar-model.ts'
import { unusualGeo } from '../../src/detect/detectors/unusual-geo.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import type { Profile } from '../../src/detect/profile.ts'
import { HOUR_MS } from '../../src/usage/duration.ts'
import { find, hourOf, learnt, NOON_MS, rollup, usage } from './history.ts'

const home = learnt({
  days: 32,
  hour: (hourMs) => [{ requests: 9 }, ...(hourOf(hourMs) === 9 ? [{ requests: 8, country: 'CA' }] : [])],
})
const nowMs = NOON_MS + 10_000

describe('unusual_geo', () => {
  test('fires on the first request from a country that the key was never used from', () => {
    const [finding] = find(unusualGeo, { usage: usage([{ country: 'RO' }, {}], nowMs), profile: home, nowMs })
    expect(finding).toMatchObject({
      detector: 'unusual_geo',
      scope: '',
      severity: 'info',
      summary: 'key-7 was used from RO for the first time (32 days of history: US, CA)',
      evidence: { metric: 'country', observed: { RO: 1 }, expected: { US: 0.96, CA: 0.036 } },
    })
  })

  test('is a warning on a job that runs by the clock, far from its hours: jobs do not travel', () => {
    /** Every night at two. */
    const nightly = (requests: number) =>
      learnt({ days: 21, hour: (hourMs) => (hourOf(hourMs) === 2 ? [{ requests }] : []) })
    const severityAt = (profile: Profile, atMs: number) =>
      find(unusualGeo, { usage: usage([{ country: 'RO' }], atMs), profile, nowMs: atMs })[0]?.severity
    expect(severityAt(nightly(100), nowMs)).toBe('warning')
    expect(severityAt(nightly(100), NOON_MS + 15 * HOUR_MS)).toBe('info')
    // Somebody who asks a few things at the same time of day may be anywhere.
    expect(severityAt(nightly(8), nowMs)).toBe('info')
  })

  test('lists all new countries in one finding, most used first', () => {
    const cells = [
      { country: 'RO' },
      { country: 'VN', requests: 3 },
      { country: 'BG', ago: 2 },
      { country: 'PK' },
    ]
    const [finding, ...more] = find(unusualGeo, { usage: usage(cells, nowMs), profile: home, nowMs })
    expect(more).toEqual([])
    expect(finding?.summary).toContain('from VN, BG, PK and 1 more for')
    expect(finding?.evidence.observed).toEqual({ VN: 3, BG: 1, PK: 1, RO: 1 })
  })

  test('an unknown place is not a new one, nor is a refused call a use', () => {
    const cells = [{ country: undefined }, { country: 'RO', requests: 4, refused: 4 }]
    expect(find(unusualGeo, { usage: usage(cells, nowMs), profile: home, nowMs })).toEqual([])
  })

  const goOn = (profile: Profile, hourMs: number, suspect: boolean) =>
    learnHour(profile, { hourMs, rollups: [rollup({ country: 'RO', bucketMs: hourMs })], suspect }, 'UTC')
  const firesAt = (profile: Profile, atMs: number) =>
    find(unusualGeo, { usage: usage([{ country: 'RO' }], atMs), profile, nowMs: atMs }).length > 0

  test('goes on firing while the first use goes on, and ends after a pause or six hours', () => {
    let profile = home
    for (let hour = 0; hour < 6; hour += 1) {
      expect(firesAt(profile, NOON_MS + hour * HOUR_MS + 600_000)).toBe(true)
      profile = goOn(profile, NOON_MS + hour * HOUR_MS, false)
    }
    expect(firesAt(profile, NOON_MS + 6 * HOUR_MS + 600_000)).toBe(false)

    const afterPause = goOn(home, NOON_MS, false)
    expect(firesAt(afterPause, NOON_MS + 4 * HOUR_MS)).toBe(false)
  })

  test('under an open alert it stays news however long it goes on: the hours teach nothing', () => {
    let profile = home
    for (let hour = 0; hour < 12; hour += 1) profile = goOn(profile, NOON_MS + hour * HOUR_MS, true)
    expect(firesAt(profile, NOON_MS + 12 * HOUR_MS + 600_000)).toBe(true)
  })

  test('stays silent while it learns: by days, by events, and by events whose place is known', () => {
    const recent = usage([{ country: 'RO' }], nowMs)
    const young = learnt({ days: 2, hour: () => [{ requests: 50 }] })
    const quiet = learnt({
      days: 32,
      hour: (hourMs) => (hourOf(hourMs) === 9 && hourMs % 5 === 0 ? [{ requests: 1 }] : []),
    })
    const placeless = learnt({ days: 32, hour: () => [{ requests: 9, country: undefined }] })
    expect(find(unusualGeo, { usage: recent, profile: young, nowMs })).toEqual([])
    expect(find(unusualGeo, { usage: recent, profile: quiet, nowMs }, { min_events: 40 })).toEqual([])
    expect(find(unusualGeo, { usage: recent, profile: placeless, nowMs })).toEqual([])
    expect(find(unusualGeo, { usage: recent, profile: young, nowMs }, { min_history: '1d' })).toHaveLength(1)
  })

  test('a country that came up while the key was being learnt is known', () => {
    const started = learnHour(
      learnt({ days: 3, hour: () => [{ requests: 9 }] }),
      { hourMs: NOON_MS, rollups: [rollup({ country: 'CA', bucketMs: NOON_MS })], suspect: false },
      'UTC',
    )
    const atMs = NOON_MS + HOUR_MS + 600_000
    const recent = usage([{ country: 'CA' }], atMs)
    expect(
      find(unusualGeo, { usage: recent, profile: started, nowMs: atMs }, { min_history: '73h' }),
    ).toEqual([])
    expect(
      find(unusualGeo, { usage: recent, profile: started, nowMs: atMs }, { min_history: '72h' }),
    ).toHaveLength(1)
  })

  test('a key that keeps meeting new countries is not alerted for one more', () => {
    const countries = 'DE FR GB ES IT NL SE PL PT IE'.split(' ')
    const roaming = learnt({
      days: 32,
      hour: (hourMs) => [
        { requests: 9, country: countries[Math.floor((NOON_MS - hourMs) / (3 * 24 * HOUR_MS))] ?? 'US' },
      ],
    })
    const recent = { usage: usage([{ country: 'RO' }], nowMs), profile: roaming, nowMs }
    expect(find(unusualGeo, recent)).toEqual([])
    expect(find(unusualGeo, recent, { max_new_per_day: 1 })).toHaveLength(1)
  })
})

describe('unfamiliar_model', () => {
  test('fires on the first request for a model that the key never used', () => {
    const [finding] = find(unfamiliarModel, {
      usage: usage([{ model: 'o1-pro' }], nowMs),
      profile: home,
      nowMs,
    })
    expect(finding).toMatchObject({
      detector: 'unfamiliar_model',
      severity: 'info',
      summary: 'key-7 used o1-pro for the first time (32 days of history: gpt-4o)',
      evidence: { metric: 'model', observed: { 'o1-pro': 1 }, expected: { 'gpt-4o': 1 } },
    })
    expect(find(unfamiliarModel, { usage: usage([{}], nowMs), profile: home, nowMs })).toEqual([])
  })

  test('takes model names for what they are: __proto__ is one like any other', () => {
    const [finding] = find(unfamiliarModel, {
      usage: usage([{ model: '__proto__' }], nowMs),
      profile: home,
      nowMs,
    })
    expect(Object.keys(finding?.evidence.observed as object)).toEqual(['__proto__'])
  })
})
