import { describe, expect, test } from 'vitest'
import { keyAge } from '../../src/detect/detectors/key-age.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { find, NOON_MS, rollup, usage } from './history.ts'

/** First seen so many days before noon, and used at the given times. */
function seen(days: number, usedAt: readonly number[] = []): Profile {
  const empty = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS - days * DAY_MS, timeZone: 'UTC' })
  return [NOON_MS - days * DAY_MS, ...usedAt].reduce(
    (profile, hourMs) =>
      learnHour(profile, { hourMs, rollups: [rollup({ bucketMs: hourMs })], suspect: false }, 'UTC'),
    empty,
  )
}
const at = (profile: Profile, nowMs: number, settings: Record<string, unknown> = {}) =>
  find(keyAge, { usage: usage([{}], nowMs), profile, nowMs }, { enabled: true, ...settings })

describe('key_age', () => {
  test('is off unless it is switched on', () => {
    expect(keyAge.settings.parse({})).toMatchObject({ enabled: false, severity: 'info' })
  })

  test('tells with the first use after 90 days that rotation is due', () => {
    const [finding] = at(seen(90), NOON_MS + 60_000)
    expect(finding).toMatchObject({
      severity: 'info',
      summary: 'key-7 is due for rotation: it was first seen 90 days ago, and 90 days are allowed',
      evidence: {
        metric: 'age_days',
        observed: 90,
        expected: { at_most: 90 },
        setting: 'detectors.key_age.max_age: 90d',
      },
    })
    expect(at(seen(89), NOON_MS + 60_000)).toEqual([])
    expect(at(seen(30), NOON_MS + 60_000, { max_age: '30d' })).toHaveLength(1)
  })

  test('tells it once, and again after remind_every', () => {
    const told = seen(95, [NOON_MS - DAY_MS])
    expect(at(told, NOON_MS + 60_000)).toEqual([])
    expect(at(told, NOON_MS + 25 * DAY_MS - HOUR_MS)).toEqual([])
    const [again] = at(told, NOON_MS + 25 * DAY_MS + 60_000)
    expect(again?.evidence['reminders']).toBe(1)
    expect(at(told, NOON_MS + 2 * DAY_MS + 60_000, { remind_every: '7d' })).toHaveLength(1)
  })

  test('refused calls are no use', () => {
    const refused = usage([{ requests: 2, refused: 2 }], NOON_MS + 60_000)
    const judged = { usage: refused, profile: seen(90), nowMs: NOON_MS + 60_000 }
    expect(find(keyAge, judged, { enabled: true })).toEqual([])
  })
})
