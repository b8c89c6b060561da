import { describe, expect, test } from 'vitest'
import { unusualHour } from '../../src/detect/detectors/unusual-hour.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { find, hourOf, isWeekday, learnt, NOON_MS, usage } from './history.ts'

const officeHours = (hourMs: number) =>
  isWeekday(hourMs) && hourOf(hourMs) >= 8 && hourOf(hourMs) < 18 ? [{ requests: 30 }] : []
const office = learnt({ days: 56, hour: officeHours })
/** Thursday, 03:20. */
const nightMs = NOON_MS + 15 * HOUR_MS + 20 * MINUTE_MS

describe('unusual_hour', () => {
  test('fires on a few requests in the night of a key that keeps office hours', () => {
    const [finding, ...more] = find(unusualHour, {
      usage: usage([{ requests: 3 }, { ago: 9 }], nightMs),
      profile: office,
      nowMs: nightMs,
    })
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      severity: 'warning',
      summary:
        'key-7 made 4 requests on Thursday at 03:00 UTC, when it is hardly ever used (56 days of history; usually 08:00 to 18:00 on weekdays)',
      evidence: {
        metric: 'hour_of_week',
        observed: { hour: 'Thu 03:00', requests: 4 },
        window: { start: '2026-03-05T03:00:00.000Z', end: '2026-03-05T03:20:00.000Z' },
      },
    })
  })

  test('is silent at usual hours, an hour beside them, and for fewer requests than min_requests', () => {
    const at = (atMs: number, requests: number) =>
      find(unusualHour, { usage: usage([{ requests }], atMs), profile: office, nowMs: atMs })
    expect(at(NOON_MS + MINUTE_MS, 50)).toEqual([])
    expect(at(NOON_MS + 6 * HOUR_MS + MINUTE_MS, 50)).toEqual([])
    expect(at(nightMs, 3)).toEqual([])
  })

  test('requests of two quiet hours are counted together, as far as they are within an hour', () => {
    const atMs = nightMs - 10 * MINUTE_MS
    const over = (ago: number) =>
      find(unusualHour, {
        usage: usage([{ requests: 2 }, { requests: 2, ago }], atMs),
        profile: office,
        nowMs: atMs,
      })
    expect(over(30)[0]?.evidence['observed']).toEqual({ hour: 'Thu 03:00', requests: 4 })
    expect(over(70)).toEqual([])
  })

  test('a weekend is another matter than a weekday', () => {
    const saturdayMs = NOON_MS + 3 * DAY_MS + MINUTE_MS
    expect(
      find(unusualHour, { usage: usage([{ requests: 9 }], saturdayMs), profile: office, nowMs: saturdayMs }),
    ).toHaveLength(1)
  })

  test('requests that came in the last seconds of an hour are judged after it', () => {
    const afterMs = nightMs - 20 * MINUTE_MS + HOUR_MS + 5_000
    const late = usage([{ ago: 1, requests: 9 }], afterMs)
    expect(
      find(unusualHour, { usage: late, profile: office, nowMs: afterMs })[0]?.evidence['observed'],
    ).toEqual({
      hour: 'Thu 03:00',
      requests: 9,
    })
  })

  test('a key that is used round the clock has no unusual hour', () => {
    const service = learnt({
      days: 56,
      hour: (hourMs) => (hourMs % (7 * HOUR_MS) === 0 ? [] : [{ requests: 9 }]),
    })
    for (let hour = 0; hour < 168; hour += 1) {
      const nowMs = NOON_MS + hour * HOUR_MS + MINUTE_MS
      expect(find(unusualHour, { usage: usage([{ requests: 99 }], nowMs), profile: service, nowMs })).toEqual(
        [],
      )
    }
  })

  test('with little history more is possible: the first weeks are silent where months would not be', () => {
    const young = learnt({ days: 8, hour: officeHours })
    const recent = usage([{ requests: 9 }], nightMs)
    expect(find(unusualHour, { usage: recent, profile: young, nowMs: nightMs })).toEqual([])
    expect(find(unusualHour, { usage: recent, profile: young, nowMs: nightMs }, { tail: 0.05 })).toHaveLength(
      1,
    )
    expect(
      find(unusualHour, { usage: recent, profile: young, nowMs: nightMs }, { tail: 0.05, min_history: '9d' }),
    ).toEqual([])
  })

  test('keeps the hours of its time zone, through daylight saving', () => {
    // From Monday 2 February 2026 to 28 June; clocks in Berlin go forward on 29 March.
    const untilMs = Date.parse('2026-06-29T00:00:00Z')
    const berlinHour = (atMs: number) =>
      Number(new Date(atMs).toLocaleString('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit' }))
    const profile = learnt({
      untilMs,
      days: 140,
      timeZone: 'Europe/Berlin',
      hour: (hourMs) =>
        isWeekday(hourMs) && berlinHour(hourMs) >= 9 && berlinHour(hourMs) < 18 ? [{ requests: 9 }] : [],
    })
    const nowMs = Date.parse('2026-06-30T01:10:00Z')
    const [finding] = find(
      unusualHour,
      { usage: usage([{ requests: 9 }], nowMs), profile, nowMs },
      { timezone: 'Europe/Berlin' },
    )
    expect(finding?.summary).toMatch(/Tuesday at 03:00 Europe\/Berlin, .*usually 09:00 to 18:00 on weekdays/)
  })

  test('refuses a time zone that does not exist', () => {
    expect(unusualHour.settings.safeParse({ timezone: 'Europe/Belrin' }).success).toBe(false)
    expect(unusualHour.settings.safeParse({ timezone: 'Europe/Berlin' }).success).toBe(true)
  })
})
