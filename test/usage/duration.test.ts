import { describe, expect, test } from 'vitest'
import { durationMs, formatDuration, parseDuration } from '../../src/usage/duration.ts'
import fc from '../harness/fast-check.ts'

describe('durations', () => {
  test.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['4h', 14_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s is %d milliseconds', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
    expect(durationMs.parse(text)).toBe(ms)
  })

  test.each(['', '5', 'm', '-5m', '1.5h', '5 m', '5M', '1w', '1h30m', '9999999999d'])(
    '%j is none',
    (text) => {
      expect(parseDuration(text)).toBeUndefined()
      expect(durationMs.safeParse(text).success).toBe(false)
    },
  )

  test('what is written is read back as the same', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 1e8 }),
        (seconds) => parseDuration(formatDuration(seconds * 1_000)) === seconds * 1_000,
      ),
    )
  })
})
