import { describe, expect, test } from 'vitest'
import { errorRate } from '../../src/detect/detectors/error-rate.ts'
import { find, hourOf, learnt, NOON_MS, usage } from './history.ts'

const nowMs = NOON_MS + 30 * 60_000
const reliable = learnt({ days: 14, hour: () => [{ requests: 100, refused: 1 }] })
const storm = usage(
  [
    { ago: 3, requests: 40, refused: 36 },
    { ago: 1, requests: 10 },
  ],
  nowMs,
)

describe('error_rate', () => {
  test('fires when most calls of a window are refused, for a key of which few ever are', () => {
    const [finding] = find(errorRate, { usage: storm, profile: reliable, nowMs })
    expect(finding).toMatchObject({
      severity: 'info',
      summary: 'key-7: 72 % of its calls were refused within 10 minutes (36 of 50 calls); 1 % is usual',
      evidence: {
        metric: 'refused_share',
        observed: 0.72,
        expected: { usual: 0.01, worst_hour: 0.01 },
        refused: 36,
        requests: 50,
        setting: 'detectors.error_rate.min_share: 0.5',
      },
    })
    expect(finding?.evidence['chance']).toBeLessThan(1e-20)
  })

  test.each([
    ['fewer refused calls than min_refused', storm, { min_refused: 37 }],
    ['a smaller share than min_share', storm, { min_share: 0.8 }],
    ['a key that is still being learnt', storm, { min_history: '30d' }],
    ['calls that succeed', usage([{ requests: 500, refused: 19 }], nowMs), {}],
    ['refused calls before the window', usage([{ ago: 15, requests: 40, refused: 40 }], nowMs), {}],
  ])('does not fire for %s', (_name, recent, settings) => {
    expect(find(errorRate, { usage: recent, profile: reliable, nowMs }, settings)).toEqual([])
  })

  test('does not fire for a key whose worst hours are as bad', () => {
    const flaky = learnt({
      days: 14,
      hour: (hourMs) => [{ requests: 100, refused: hourOf(hourMs) === 9 ? 80 : 1 }],
    })
    expect(find(errorRate, { usage: storm, profile: flaky, nowMs })).toEqual([])
    const worse = usage([{ requests: 400, refused: 400 }], nowMs)
    expect(find(errorRate, { usage: worse, profile: flaky, nowMs })).toHaveLength(1)
  })

  test('an hour under alert does not make a habit of being refused', () => {
    const profile = learnt({
      days: 14,
      hour: (hourMs) => [{ requests: 100, refused: hourOf(hourMs) === 9 ? 80 : 1 }],
      suspect: (hourMs) => hourOf(hourMs) === 9,
    })
    expect(find(errorRate, { usage: storm, profile, nowMs })).toHaveLength(1)
  })
})
