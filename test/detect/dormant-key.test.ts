import { describe, expect, test } from 'vitest'
import { dormantKey } from '../../src/detect/detectors/dormant-key.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { SourceUsage } from '../../src/usage/source.ts'
import { find, hourOf, learnt, NOON_MS, rollup, source, usage } from './history.ts'

const nowMs = NOON_MS + 10 * 60_000

/** Used daily at nine until so many days ago, and silent since. */
function silentFor(days: number, everyDays = 1) {
  const day = (atMs: number): number => Math.floor((NOON_MS - atMs) / DAY_MS)
  return learnt({
    days: 60,
    hour: (hourMs) =>
      day(hourMs) >= days && day(hourMs) % everyDays === 0 && hourOf(hourMs) === 9 ? [{ requests: 5 }] : [],
  })
}

describe('dormant_key', () => {
  test('fires with the first request after a silence of days, and says how long it was', () => {
    const [finding] = find(dormantKey, { usage: usage([{}], nowMs), profile: silentFor(20), nowMs })
    expect(finding).toMatchObject({
      detector: 'dormant_key',
      severity: 'warning',
      summary:
        'key-7 is used again after 20 days of silence (1 request so far; its longest pause before was 0 days)',
      evidence: {
        metric: 'silent_days',
        observed: 20.1,
        last_used: '2026-02-12T10:00:00.000Z',
        setting: 'detectors.dormant_key.silent_for: 7d',
      },
    })
  })

  test.each([
    ['a shorter silence', silentFor(6), {}],
    ['a silence shorter than the setting', silentFor(20), { silent_for: '30d' }],
    ['a key that is used once in two weeks', silentFor(14, 14), {}],
  ])('does not fire for %s', (_name, profile, settings) => {
    expect(find(dormantKey, { usage: usage([{}], nowMs), profile, nowMs }, settings)).toEqual([])
  })

  test('fires for a silence far longer than the pauses of a key that makes pauses', () => {
    const profile = silentFor(42, 14)
    const [finding] = find(dormantKey, { usage: usage([{}], nowMs), profile, nowMs })
    // 14 days less an hour of use, faded over 42 days with a half-life of 90.
    expect(finding?.evidence.expected).toEqual({ longest_pause_days: 10.1 })
  })

  test('refused calls are no use: they neither wake a key nor keep it awake', () => {
    const refused = usage([{ requests: 3, refused: 3 }], nowMs)
    expect(find(dormantKey, { usage: refused, profile: silentFor(20), nowMs })).toEqual([])
    const knocked = learnHour(
      silentFor(20),
      { hourMs: NOON_MS - HOUR_MS, rollups: [rollup({ requests: 3, refused: 3 })], suspect: false },
      'UTC',
    )
    expect(find(dormantKey, { usage: usage([{}], nowMs), profile: knocked, nowMs })).toHaveLength(1)
  })

  test('goes on for two hours, also when the first hour has been learnt', () => {
    const woken = learnHour(
      silentFor(20),
      { hourMs: NOON_MS, rollups: [rollup({ requests: 3 })], suspect: true },
      'UTC',
    )
    const at = (atMs: number) =>
      find(dormantKey, { usage: usage([{}], atMs), profile: woken, nowMs: atMs }).length
    expect(at(NOON_MS + HOUR_MS + 10 * 60_000)).toBe(1)
    expect(at(NOON_MS + 2 * HOUR_MS + 10 * 60_000)).toBe(0)
  })

  describe('asks whose address wakes the key', () => {
    const own = { address: '81.2.69.142' }
    const neighbour = { address: '81.2.69.150' }
    const far = { address: '14.160.0.1', country: 'VN', latitude: 21, longitude: 105.9 }
    const wokenBy = (waker: Partial<SourceUsage>, profile: Profile) =>
      find(dormantKey, {
        usage: usage([{}], nowMs, [source({ ...waker, firstMs: nowMs - MINUTE_MS })]),
        profile,
        nowMs,
      })[0]
    /** Used daily from nine to ten until twenty days ago, from an address that may depend on the day. */
    const silentAt = (addressOf: (day: number) => string): Profile => {
      let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS - 60 * DAY_MS, timeZone: 'UTC' })
      for (let day = 60; day >= 20; day -= 1) {
        const hourMs = NOON_MS - day * DAY_MS - 3 * HOUR_MS
        const sources = [source({ address: addressOf(day), requests: 5, firstMs: hourMs })]
        profile = learnHour(
          profile,
          { hourMs, rollups: [rollup({ requests: 5, bucketMs: hourMs })], sources, suspect: false },
          'UTC',
        )
      }
      return profile
    }
    const steady = silentAt(() => own.address)
    const changing = silentAt((day) => `81.2.69.${day}`)

    test('one of its own: info, as after a holiday', () => {
      expect(wokenBy(own, steady)).toMatchObject({ severity: 'info', evidence: { new_address: false } })
    })

    test('a stranger: a warning, and rarer than the silence alone', () => {
      const finding = wokenBy(neighbour, steady)
      expect(finding).toMatchObject({ severity: 'warning', evidence: { new_address: true } })
      expect(finding?.score).toBeGreaterThan(wokenBy(own, steady)?.score ?? Infinity)
    })

    test('a new one of a key whose addresses change by habit says nothing, but for one from elsewhere', () => {
      expect(wokenBy(neighbour, changing)).toMatchObject({
        severity: 'warning',
        evidence: { new_address: null },
      })
      expect(wokenBy(far, changing)).toMatchObject({ severity: 'warning', evidence: { new_address: true } })
    })
  })

  test('a key that was hardly tried before has no habit to break', () => {
    const tried = (requests: number) =>
      learnt({
        days: 20,
        hour: (hourMs) => (NOON_MS - hourMs > 19 * DAY_MS && hourOf(hourMs) === 9 ? [{ requests }] : []),
      })
    const woken = (requests: number) =>
      find(dormantKey, { usage: usage([{}], nowMs), profile: tried(requests), nowMs })
    expect(woken(4)).toEqual([])
    expect(woken(5)).toHaveLength(1)
  })

  test('a key that is seen for the first time was never silent', () => {
    const fresh = learnt({ days: 1, hour: () => [] })
    expect(find(dormantKey, { usage: usage([{}], nowMs), profile: fresh, nowMs })).toEqual([])
  })

  test('a silence longer than the ledger is known to its hour', () => {
    const [finding] = find(dormantKey, { usage: usage([{}], nowMs), profile: silentFor(50), nowMs })
    expect(finding?.evidence.observed).toBe(50.1)
  })
})
