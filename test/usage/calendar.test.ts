import { describe, expect, test } from 'vitest'
import { PERIODS, periodAt } from '../../src/usage/calendar.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import fc from '../harness/fast-check.ts'

const boundsOf = (instant: string, period: (typeof PERIODS)[number], zone: string) => {
  const { startMs, endMs, name } = periodAt(Date.parse(instant), period, zone)
  return [new Date(startMs).toISOString(), new Date(endMs).toISOString(), name]
}

describe('a period of the calendar', () => {
  test.each([
    [
      '2026-03-04T12:00:00Z',
      'day',
      'UTC',
      '2026-03-04T00:00:00.000Z',
      '2026-03-05T00:00:00.000Z',
      '2026-03-04',
    ],
    [
      '2026-03-04T23:30:00Z',
      'day',
      'Europe/Berlin',
      '2026-03-04T23:00:00.000Z',
      '2026-03-05T23:00:00.000Z',
      '2026-03-05',
    ],
    // The day on which clocks go forward has 23 hours, the one on which they go back 25.
    [
      '2026-03-29T12:00:00Z',
      'day',
      'Europe/Berlin',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
      '2026-03-29',
    ],
    [
      '2026-10-25T12:00:00Z',
      'day',
      'Europe/Berlin',
      '2026-10-24T22:00:00.000Z',
      '2026-10-25T23:00:00.000Z',
      '2026-10-25',
    ],
    [
      '2026-03-01T12:00:00Z',
      'week',
      'UTC',
      '2026-02-23T00:00:00.000Z',
      '2026-03-02T00:00:00.000Z',
      '2026-02-23',
    ],
    [
      '2026-03-02T00:00:00Z',
      'week',
      'UTC',
      '2026-03-02T00:00:00.000Z',
      '2026-03-09T00:00:00.000Z',
      '2026-03-02',
    ],
    [
      '2026-12-31T23:59:59Z',
      'month',
      'UTC',
      '2026-12-01T00:00:00.000Z',
      '2027-01-01T00:00:00.000Z',
      '2026-12-01',
    ],
    [
      '2026-03-01T04:59:00Z',
      'month',
      'America/New_York',
      '2026-02-01T05:00:00.000Z',
      '2026-03-01T05:00:00.000Z',
      '2026-02-01',
    ],
    // Midnight of 8 September 2019 is skipped in Santiago: the day starts at 01:00.
    [
      '2019-09-08T12:00:00Z',
      'day',
      'America/Santiago',
      '2019-09-08T04:00:00.000Z',
      '2019-09-09T03:00:00.000Z',
      '2019-09-08',
    ],
  ] as const)('%s: the %s in %s is from %s to %s', (instant, period, zone, start, end, name) => {
    expect(boundsOf(instant, period, zone)).toEqual([start, end, name])
  })

  test('holds the instant, is as long as such a period can be, and meets the next one', () => {
    const anyZone = fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/Santiago',
      'Asia/Kolkata',
      'Australia/Lord_Howe',
      'Asia/Beirut',
      'Pacific/Kiritimati',
    )
    const days = { day: [1, 1], week: [7, 7], month: [28, 31] } as const
    fc.assert(
      fc.property(
        fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2035, 0) }),
        fc.constantFrom(...PERIODS),
        anyZone,
        (atMs, period, zone) => {
          const { startMs, endMs } = periodAt(atMs, period, zone)
          expect(startMs).toBeLessThanOrEqual(atMs)
          expect(endMs).toBeGreaterThan(atMs)
          expect(endMs - startMs).toBeGreaterThanOrEqual(days[period][0] * DAY_MS - HOUR_MS)
          expect(endMs - startMs).toBeLessThanOrEqual(days[period][1] * DAY_MS + HOUR_MS)
          expect(periodAt(endMs, period, zone).startMs).toBe(endMs)
          expect(periodAt(startMs, period, zone)).toEqual(periodAt(atMs, period, zone))
        },
      ),
      { numRuns: 300 },
    )
  })
})
