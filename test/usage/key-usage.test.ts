import { describe, expect, test } from 'vitest'
import { rollupsWithin, sumRollups } from '../../src/usage/key-usage.ts'
import { addTotals, bucketStart, NO_USAGE, totalsOf } from '../../src/usage/rollup.ts'
import { NOON_MS, usage } from '../detect/history.ts'
import { enrichedEvent } from '../harness/builders.ts'

describe('usage of a key', () => {
  test('a window of five minutes holds the open minute and the four before it', () => {
    const nowMs = NOON_MS + 3 * 60_000 + 20_000
    const recent = usage(
      [0, 1, 4, 5, 60].map((ago) => ({ ago })),
      nowMs,
    )
    expect(
      rollupsWithin(recent, 5 * 60_000, nowMs).map(({ bucketMs }) => (bucketMs - NOON_MS) / 60_000),
    ).toEqual([-1, 2, 3])
  })

  test('a bucket after the tick is not in its window', () => {
    const recent = usage([{ ago: 0 }], NOON_MS + 60_000)
    expect(rollupsWithin(recent, 5 * 60_000, NOON_MS)).toEqual([])
  })

  test('sums add counter by counter, and of nothing are nothing', () => {
    const totals = { ...NO_USAGE, requests: 3, refused: 1, inputTokens: 5, costNanoUsd: 7, unpriced: 1 }
    expect(sumRollups([totals, totals])).toEqual({
      ...NO_USAGE,
      requests: 6,
      refused: 2,
      inputTokens: 10,
      costNanoUsd: 14,
      unpriced: 2,
    })
    expect(sumRollups([])).toEqual(NO_USAGE)
    expect(addTotals(totals, NO_USAGE)).toEqual(totals)
    expect(NO_USAGE.requests).toBe(0)
  })

  test('a refused event is a request without tokens; an unpriced one is marked, not free', () => {
    expect(totalsOf(enrichedEvent({ statusCode: 429, costNanoUsd: undefined }))).toEqual({
      ...NO_USAGE,
      requests: 1,
      refused: 1,
    })
    expect(totalsOf(enrichedEvent({ inputTokens: 3, outputTokens: 4, costNanoUsd: undefined }))).toEqual({
      ...NO_USAGE,
      requests: 1,
      inputTokens: 3,
      outputTokens: 4,
      unpriced: 1,
    })
  })

  test('buckets start at whole minutes, also before 1970', () => {
    expect(bucketStart(NOON_MS + 59_999)).toBe(NOON_MS)
    expect(bucketStart(-1)).toBe(-60_000)
  })
})
