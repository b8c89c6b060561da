import { describe, expect, test } from 'vitest'
import { SeenIds } from '../../src/store/memory/seen-ids.ts'
import { HOUR_MS } from '../../src/usage/duration.ts'
import { NOON_MS } from '../detect/history.ts'

describe('ids that have been seen', () => {
  test('are known for 25 hours of event time, wherever in it they came', () => {
    for (let phase = 0; phase < 26; phase += 1) {
      const seen = new SeenIds()
      for (let hour = 0; hour < phase; hour += 1)
        seen.add(`before-${hour}`, NOON_MS + (hour - phase) * HOUR_MS)
      expect(seen.add('one', NOON_MS)).toBe(true)
      for (let hour = 1; hour <= 25; hour += 1) {
        seen.add(`other-${hour}`, NOON_MS + hour * HOUR_MS)
        expect(seen.add('one', NOON_MS)).toBe(false)
      }
    }
  })

  test('are forgotten in the end: memory is bounded', () => {
    const seen = new SeenIds()
    seen.add('one', NOON_MS)
    for (let hour = 1; hour <= 60; hour += 1) seen.add(`other-${hour}`, NOON_MS + hour * HOUR_MS)
    expect(seen.add('one', NOON_MS + 60 * HOUR_MS)).toBe(true)
  })
})
