import { describe, expect, test } from 'vitest'
import { DemoFleet, HISTORY_DAYS, STOLEN_KEY_ID } from '../../src/demo/fleet.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { hourOfWeek } from '../../src/usage/hour-of-week.ts'

describe('the fleet of the demo', () => {
  test.each(['2026-01-05T00:10:00Z', '2026-03-29T01:30:00Z', '2026-06-15T12:00:00Z', '2026-11-23T23:59:59Z'])(
    'it is about three in the morning for the owners of the stolen key, whenever the demo runs: %s',
    (now) => {
      const nowMs = Date.parse(now)
      const fleet = new DemoFleet({ nowMs })
      expect(hourOfWeek(nowMs, fleet.ownersTimeZone) % 24).toBe(3)
    },
  )

  test('the history spans three weeks, ascends hour by hour and ends before now', () => {
    const nowMs = Date.parse('2026-05-01T10:20:00Z')
    const hours = [...new DemoFleet({ nowMs }).history()]
    const times = hours.map((events) => events.map((event) => Date.parse(event.timestamp)))
    expect(hours.length).toBe(HISTORY_DAYS * 24 + 1)
    expect(times.flat().every((time, index, all) => index === 0 || time >= (all[index - 1] ?? 0))).toBe(true)
    expect(Math.max(...times.flat())).toBeLessThan(nowMs)
    expect(Math.min(...times.flat())).toBeGreaterThanOrEqual(nowMs - HISTORY_DAYS * DAY_MS - HOUR_MS)
  })

  test('the same seed and instant give the same events, and no id comes twice', () => {
    const nowMs = Date.parse('2026-05-01T10:20:00Z')
    const first = [...new DemoFleet({ nowMs }).history()].flat()
    const second = [...new DemoFleet({ nowMs }).history()].flat()
    expect(second).toEqual(first)
    expect(new Set(first.map((event) => event.id)).size).toBe(first.length)
  })

  test('the thief uses the stolen key from a country and with a model that its history does not have', () => {
    const nowMs = Date.parse('2026-05-01T10:20:00Z')
    const fleet = new DemoFleet({ nowMs })
    const owned = [...fleet.history()].flat().filter((event) => event.key_id === STOLEN_KEY_ID)
    const stolen = fleet.theft(nowMs, nowMs + 10_000)
    expect(stolen).toHaveLength(60)
    expect(owned.length).toBeGreaterThan(1_000)
    for (const event of stolen) {
      expect(event.key_id).toBe(STOLEN_KEY_ID)
      expect(owned.map((own) => own.model)).not.toContain(event.model)
      expect(owned.map((own) => own.ip)).not.toContain(event.ip)
    }
  })
})
