import { describe, expect, test } from 'vitest'
import { volumeSpike } from '../../src/detect/detectors/volume-spike.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { longWindow } from '../../src/detect/long-window.ts'
import type { Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { find, hourOf, learnt, NOON_MS, rollup, usage } from './history.ts'

const nowMs = NOON_MS + 30 * MINUTE_MS
const steady = learnt({ days: 21, hour: () => [{ requests: 40 }] })

/** The profile after further hours up to noon, each with so many requests. */
function after(profile: Profile, hours: number, requests: number): Profile {
  let next = { ...profile }
  for (let hourMs = NOON_MS; hourMs < NOON_MS + hours * HOUR_MS; hourMs += HOUR_MS) {
    const rollups = [rollup({ bucketMs: hourMs, requests })]
    next = learnHour(next, { hourMs, rollups, busiestFiveMinutes: 9, suspect: false }, 'UTC')
  }
  return next
}

describe('a window of hours', () => {
  test('sums the hours of the ledger and the open one, each request once', () => {
    const recent = usage([{ requests: 7 }, { requests: 5, ago: 45 }], nowMs)
    const window = longWindow({ usage: recent, profile: steady, nowMs }, 6 * HOUR_MS)
    // 07:00 to 12:00 learnt; of the two recent cells one lies in the learnt hour.
    expect(new Date(window.fromMs).toISOString()).toBe('2026-03-04T07:00:00.000Z')
    expect(window.totals).toMatchObject({ requests: 5 * 40 + 7, refused: 0, costNanoUsd: 207_000_000 })
  })

  test('leaves out the hour that it covers only in part', () => {
    const window = longWindow({ usage: usage([], nowMs), profile: steady, nowMs }, 24 * HOUR_MS)
    expect(window.totals.requests).toBe(23 * 40)
  })
})

describe('volume_spike over hours', () => {
  const judgedAfter = (hours: number, requests: number, settings: Record<string, unknown>) => {
    const at = NOON_MS + hours * HOUR_MS + MINUTE_MS
    const judged = { usage: usage([{ requests: 1 }], at), profile: after(steady, hours, requests), nowMs: at }
    return find(volumeSpike, judged, settings).filter(({ scope }) => scope === '')
  }

  test('fires for hours of ten times the usual that went by without an alert, and names the window', () => {
    const [found] = judgedAfter(6, 400, { windows: ['6h'], sensitivity: 'high' })
    expect(found).toMatchObject({
      evidence: { metric: 'requests', fired: [{ window: '6h' }, { window: '6h' }] },
    })
    expect(found?.summary).toContain('in 6 hours;')
    expect(judgedAfter(6, 400, { windows: ['5m', '1h'], sensitivity: 'high' })).toEqual([])
  })

  test('does not fire for hours that are half as busy again, nor for a key at its usual', () => {
    expect(judgedAfter(6, 60, { windows: ['6h', '24h'] })).toEqual([])
    expect(judgedAfter(20, 40, { windows: ['6h', '24h'] })).toEqual([])
  })

  test('a batch that runs once a day is no spike in a day, however bursty its hours are', () => {
    const batch = learnt({ days: 28, hour: (hourMs) => (hourOf(hourMs) === 3 ? [{ requests: 900 }] : []) })
    for (let hour = 0; hour < 24; hour += 1) {
      const at = NOON_MS + hour * HOUR_MS
      const recentOnes = hour === 15 ? usage([{ requests: 900 }], at) : usage([], at)
      expect(
        find(volumeSpike, { usage: recentOnes, profile: batch, nowMs: at }, { windows: ['6h', '24h'] }),
      ).toEqual([])
    }
  })

  test('has no tokens: the ledger of hours holds requests and cost', () => {
    expect(judgedAfter(6, 400, { windows: ['6h'], sensitivity: 'high', metrics: ['tokens'] })).toEqual([])
  })

  test('windows beyond an hour are whole hours, up to a day', () => {
    const isValid = (window: string) => volumeSpike.settings.safeParse({ windows: [window] }).success
    expect(['10m', '1h', '2h', '6h', '24h', '1d'].map(isValid)).toEqual(Array(6).fill(true))
    expect(['90m', '25h', '30s', '2d'].map(isValid)).toEqual(Array(4).fill(false))
    expect(DAY_MS).toBe(24 * HOUR_MS)
  })
})
