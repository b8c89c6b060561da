import { describe, expect, test } from 'vitest'
import { closestDuration, closestTimeZone, closestTo, didYouMean } from '../../src/config/suggest.ts'
import { durationMs, formatDuration, parseDuration, SECOND_MS } from '../../src/usage/duration.ts'
import fc from '../harness/fast-check.ts'

describe('suggestions', () => {
  test.each([
    ['chanels', 'channels'],
    ['ulr', 'url'],
    ['Group-Wait', 'group_wait'],
    ['groupwait', 'group_wait'],
  ])('%s is taken for %s', (written, meant) => {
    expect(closestTo(written, ['url', 'channels', 'group_wait'])).toBe(meant)
  })

  test('nothing is suggested for what resembles nothing', () => {
    expect(didYouMean('zebra', ['url', 'channels'])).toBe('')
    expect(didYouMean('x'.repeat(100_000), ['url'])).toBe('')
  })

  test.each([
    ['berlin', 'Europe/Berlin'],
    ['New York', 'America/New_York'],
    ['europe/pariss', 'Europe/Paris'],
    ['utc', 'UTC'],
  ])('the time zone %s is taken for %s', (written, meant) => {
    expect(closestTimeZone(written)).toBe(meant)
  })

  test.each([
    ['5 min', '5m'],
    ['2 weeks', '14d'],
    ['1h30m', '90m'],
    ['300', '5m'],
    ['90sec', '90s'],
  ])('the duration %s is taken for %s', (written, meant) => {
    expect(closestDuration(written)).toBe(meant)
  })

  test.each(['', 'soon', '5 moons', '-5m', '1.5h', '5m later'])(
    'no duration is guessed from "%s"',
    (written) => {
      expect(closestDuration(written)).toBeUndefined()
    },
  )
})

describe('durations', () => {
  test('what is written as text is read back as the same time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), (seconds) => {
        const ms = seconds * SECOND_MS
        expect(parseDuration(formatDuration(ms))).toBe(ms)
        expect(durationMs.parse(formatDuration(ms))).toBe(ms)
      }),
    )
  })

  test('a suggestion for any text is itself a duration that the configuration takes', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^\d{1,9} ?[a-z]{0,4}\d{0,3}[a-z]?$/)),
        (written) => {
          const guess = closestDuration(written)
          if (guess !== undefined) expect(durationMs.safeParse(guess).success).toBe(true)
        },
      ),
    )
  })
})
