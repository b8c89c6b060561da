import { describe, expect, test } from 'vitest'
import { keySilent } from '../../src/detect/detectors/key-silent.ts'
import { silentFromMs } from '../../src/detect/silence.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { find, hourOf, isWeekday, learnt, NOON_MS, usage } from './history.ts'

const steady = learnt({ days: 14, hour: () => [{ requests: 9 }] })
/** At work on weekdays from 8 to 18; last used on Wednesday before noon. */
const office = learnt({
  days: 28,
  hour: (hourMs) =>
    isWeekday(hourMs) && hourOf(hourMs) >= 8 && hourOf(hourMs) < 18 ? [{ requests: 9 }] : [],
})

function silentAt(profile: typeof steady, hours: number) {
  const nowMs = NOON_MS + hours * HOUR_MS
  return find(keySilent, { usage: usage([], nowMs), profile, nowMs })
}

describe('key_silent', () => {
  test('fires when a key that is used in every hour has missed twelve of them', () => {
    expect(silentFromMs(steady)).toBe(NOON_MS + 12 * HOUR_MS)
    expect(silentAt(steady, 11.9)).toEqual([])
    expect(silentAt(steady, 12)).toMatchObject([
      {
        detector: 'key_silent',
        severity: 'info',
        score: expect.any(Number) as number,
        evidence: { observed: 12, expected: { at_most: 12 }, last_used: '2026-03-04T12:00:00.000Z' },
      },
    ])
  })

  test('is told for two hours, and stands for a day', () => {
    expect(silentAt(steady, 13.9)).toHaveLength(1)
    expect(silentAt(steady, 14)).toEqual([])
    expect(silentAt(steady, 12)[0]?.evidence.holds_until).toBe('2026-03-06T00:00:00.000Z')
  })

  test('nights and weekends are no silence of a key that never works in them', () => {
    const fromMs = silentFromMs(office) ?? 0
    // Its longest pause is the weekend of 62 hours: from Wednesday noon, not before Saturday; told then, once.
    expect(fromMs - NOON_MS).toBeGreaterThanOrEqual(1.5 * 62 * HOUR_MS)
    expect(fromMs - NOON_MS).toBeLessThan(5 * DAY_MS)
    expect(silentAt(office, 20)).toEqual([])
  })

  test('a key without a steady habit is never silent', () => {
    const rare = learnt({
      days: 40,
      hour: (hourMs) => ((hourMs / HOUR_MS) % 97 === 0 ? [{ requests: 40 }] : []),
    })
    expect(silentFromMs(rare)).toBeUndefined()
    expect(silentAt(rare, 300)).toEqual([])
  })

  test('a key known for less than a week is not judged', () => {
    const young = learnt({ days: 6, hour: () => [{ requests: 9 }] })
    expect(silentFromMs(young)).toBeUndefined()
  })

  test('what was used since its last hour was learnt is not silent; refused calls are no use', () => {
    const nowMs = NOON_MS + 12 * HOUR_MS
    const after = (refused: number) =>
      find(keySilent, { usage: usage([{ requests: 3, refused }], nowMs), profile: steady, nowMs })
    expect(after(0)).toEqual([])
    expect(after(3)).toHaveLength(1)
  })

  test('a pause that the key made before is within its habit', () => {
    const pausing = learnt({
      days: 28,
      hour: (hourMs) => {
        const ago = (NOON_MS - hourMs) / DAY_MS
        return ago > 8 && ago <= 11 ? [] : [{ requests: 9 }]
      },
    })
    expect((silentFromMs(pausing) ?? 0) - NOON_MS).toBeGreaterThan(3.5 * DAY_MS)
  })

  test('is not asked while usage does not arrive', () => {
    expect(keySilent.restsOnSilence).toBe(true)
  })
})
