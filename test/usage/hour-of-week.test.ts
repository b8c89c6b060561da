import { describe, expect, test } from 'vitest'
import { HOUR_MS, MINUTE_MS, WEEK_MS } from '../../src/usage/duration.ts'
import { hourOfWeek, hourOfWeekName, zoneOffsetMs } from '../../src/usage/hour-of-week.ts'
import fc from '../harness/fast-check.ts'

const at = (iso: string, zone: string) => hourOfWeekName(hourOfWeek(Date.parse(iso), zone))

describe('the hour of the week', () => {
  test.each([
    ['2026-03-02T00:00:00Z', 'UTC', 'Mon 00:00'],
    ['2026-03-01T23:59:59Z', 'UTC', 'Sun 23:00'],
    ['2026-03-02T00:00:00Z', 'America/New_York', 'Sun 19:00'],
    ['2026-03-02T18:45:00Z', 'Asia/Kolkata', 'Tue 00:00'],
    ['2026-03-02T18:15:00Z', 'Asia/Kathmandu', 'Tue 00:00'],
    // Clocks in Berlin go from 02:00 to 03:00 on 29 March, and from 03:00 to 02:00 on 25 October.
    ['2026-03-29T00:59:59Z', 'Europe/Berlin', 'Sun 01:00'],
    ['2026-03-29T01:00:00Z', 'Europe/Berlin', 'Sun 03:00'],
    ['2026-10-25T00:30:00Z', 'Europe/Berlin', 'Sun 02:00'],
    ['2026-10-25T01:30:00Z', 'Europe/Berlin', 'Sun 02:00'],
    ['1969-12-31T23:00:00Z', 'UTC', 'Wed 23:00'],
  ])('of %s in %s is %s', (iso, zone, name) => {
    expect(at(iso, zone)).toBe(name)
  })

  test('a zone that does not exist is an error', () => {
    expect(() => hourOfWeek(0, 'Mars/Olympus')).toThrow(RangeError)
  })

  test('agrees with the calendar of the platform, in any zone at any minute', () => {
    const zones = fc.constantFrom(
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kolkata',
      'Europe/London',
      'Pacific/Apia',
    )
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2035, 0) }), zones, (ms, zone) => {
        const minuteMs = Math.floor(ms / MINUTE_MS) * MINUTE_MS
        const shown = new Date(minuteMs).toLocaleString('en-GB', {
          timeZone: zone,
          weekday: 'short',
          hour: '2-digit',
          hourCycle: 'h23',
        })
        expect(hourOfWeekName(hourOfWeek(minuteMs, zone))).toBe(
          `${shown.replace(',', '').replace(' ', ' ')}:00`,
        )
        expect(hourOfWeek(minuteMs + WEEK_MS, 'UTC')).toBe(hourOfWeek(minuteMs, 'UTC'))
        expect(Math.abs(zoneOffsetMs(minuteMs, zone))).toBeLessThanOrEqual(14 * HOUR_MS)
      }),
    )
  })
})
