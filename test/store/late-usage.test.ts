import { describe, expect, test } from 'vitest'
import { placesOf } from '../../src/store/postgres/late-usage.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'

/** The clock of the database. */
const NOW = Date.parse('2026-03-04T12:00:00Z')
const RECENT = NOW - 2 * HOUR_MS
const whole = (recentMs: number) => ({ recentMs, fromMs: recentMs, notedFromMs: undefined })

describe('a look reads', () => {
  test('the minutes that ingest does not note, and the notes, back to the last look and a minute for clocks that were put back', () => {
    const lastMs = NOW - 10 * SECOND_MS
    expect(placesOf({ writtenFromMs: lastMs }, { recentMs: RECENT, atMs: NOW })).toEqual({
      recentMs: RECENT,
      fromMs: lastMs - 6 * MINUTE_MS,
      notedFromMs: lastMs - MINUTE_MS,
    })
  })

  test('back to the beginning of a transaction that was open at the last look', () => {
    const begunMs = NOW - 30 * MINUTE_MS
    const { fromMs } = placesOf({ writtenFromMs: begunMs }, { recentMs: RECENT, atMs: NOW })
    expect(fromMs).toBe(begunMs - 6 * MINUTE_MS)
  })

  test('all that is recent when the last look is long ago, when nobody knows, and when notes would not reach back so far', () => {
    const places = (writtenFromMs: number, recentMs = RECENT) =>
      placesOf({ writtenFromMs }, { recentMs, atMs: NOW })
    expect(places(NOW - 2 * HOUR_MS)).toEqual(whole(RECENT))
    expect(places(-Infinity)).toEqual(whole(RECENT))
    // The clock of this process, or a test's, is hours behind that of the database.
    const behind = NOW - 4 * HOUR_MS
    expect(places(NOW - SECOND_MS, behind)).toEqual(whole(behind))
  })

  test('on when its own clock is ahead: what is newer than the notes is read, whatever its time', () => {
    const ahead = NOW + HOUR_MS
    expect(placesOf({ writtenFromMs: NOW }, { recentMs: ahead, atMs: NOW })).toEqual(whole(ahead))
  })
})
