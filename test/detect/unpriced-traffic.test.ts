import { describe, expect, test } from 'vitest'
import { unpricedTraffic } from '../../src/detect/detectors/unpriced-traffic.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import { bucketStart } from '../../src/usage/rollup.ts'
import { find, learnt, NOON_MS, usage } from './history.ts'

const nowMs = NOON_MS + 30 * 60_000
const priced = learnt({ days: 14, hour: () => [{ requests: 2 }] })
const unpricedCells = [{ model: 'in-house-7b', requests: 30, costNanoUsd: 0, unpriced: 30 }]

describe('unpriced_traffic', () => {
  test('fires when the cost of a fifth of the use of the last day is unknown', () => {
    const [finding] = find(unpricedTraffic, { usage: usage(unpricedCells, nowMs), profile: priced, nowMs })
    expect(finding).toMatchObject({
      severity: 'info',
      summary:
        'key-7: the cost of 30 requests of 76 within 1 day is unknown (lately in-house-7b); limits on spend do not see them',
      evidence: {
        metric: 'unpriced_share',
        observed: 0.395,
        expected: { below: 0.2 },
        unpriced_requests: 30,
        requests: 76,
        recent_unpriced_models: ['in-house-7b'],
      },
    })
  })

  test.each([
    ['traffic whose cost is known', usage([{ requests: 90 }], nowMs), {}],
    ['a smaller share', usage(unpricedCells, nowMs), { min_share: 0.5 }],
    ['fewer requests than min_requests', usage(unpricedCells, nowMs), { min_requests: 100 }],
  ])('does not fire for %s', (_name, recent, settings) => {
    expect(find(unpricedTraffic, { usage: recent, profile: priced, nowMs }, settings)).toEqual([])
  })

  test('tells it when it begins, and again in the next period of remind_every', () => {
    const blind = (days: number) =>
      learnt({
        days: 30,
        hour: (hourMs) =>
          hourMs >= NOON_MS - days * DAY_MS
            ? [{ requests: 3, unpriced: 3, costNanoUsd: 0 }]
            : [{ requests: 3 }],
      })
    const judge = (days: number, settings: Record<string, unknown> = {}) =>
      find(unpricedTraffic, { usage: usage(unpricedCells, nowMs), profile: blind(days), nowMs }, settings)
        .length
    expect(judge(3)).toBe(0)
    expect(judge(0)).toBe(1)
    // A period begins at each midnight: told at noon as of the hours learnt today.
    expect(judge(3, { remind_every: '1d' })).toBe(0)

    const midnightMs = bucketStart(NOON_MS, 7 * DAY_MS) + 7 * DAY_MS
    const lasting = learnt({
      untilMs: midnightMs,
      days: 30,
      hour: () => [{ requests: 3, unpriced: 3, costNanoUsd: 0 }],
    })
    const atMs = midnightMs + 60_000
    expect(
      find(unpricedTraffic, { usage: usage(unpricedCells, atMs), profile: lasting, nowMs: atMs }),
    ).toHaveLength(1)
  })
})
