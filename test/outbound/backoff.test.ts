import { describe, expect, test } from 'vitest'
import { DELIVERY_SCHEDULE } from '../../src/notify/deliver.ts'
import { retryDelayMs } from '../../src/outbound/backoff.ts'
import { REVOCATION_SCHEDULE } from '../../src/respond/call-revoker.ts'

const HOUR_MS = 3_600_000

describe('the delay before another try', () => {
  test('follows the schedule, a fifth more or less', () => {
    const delays = (jitter: number): (number | undefined)[] =>
      [1, 2, 3].map((attempt) => retryDelayMs([1_000, 5_000], { attempt, jitter }))
    expect(delays(0)).toEqual([800, 4_000, undefined])
    expect(delays(0.5)).toEqual([1_000, 5_000, undefined])
    expect(delays(0.999)).toEqual([1_200, 5_998, undefined])
  })

  test('is never shorter than what the other side asked for, and never longer than an hour because of it', () => {
    const delay = (retryAfterMs: number): number | undefined =>
      retryDelayMs([5_000], { attempt: 1, jitter: 0.5, retryAfterMs })
    expect([delay(100), delay(30_000), delay(10 * HOUR_MS)]).toEqual([5_000, 30_000, HOUR_MS])
  })

  test('of a message is short in the first ten minutes, and the last try is about a day after the first', () => {
    const total = DELIVERY_SCHEDULE.reduce((sum, ms) => sum + ms, 0)
    expect(total).toBeGreaterThan(23 * HOUR_MS)
    expect(total).toBeLessThan(25 * HOUR_MS)
    let atMs = 0
    expect(DELIVERY_SCHEDULE.filter((ms) => (atMs += ms) <= 10 * 60_000)).toHaveLength(6)
  })

  test('of a revocation is about half an hour in all', () => {
    const total = REVOCATION_SCHEDULE.reduce((sum, ms) => sum + ms, 0)
    expect(total).toBeGreaterThan(29 * 60_000)
    expect(total).toBeLessThan(31 * 60_000)
  })
})
