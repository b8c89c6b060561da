import fc from 'fast-check'
import { learnHour, type ClosedHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { KeyUsage } from '../../src/usage/key-usage.ts'
import type { Rollup } from '../../src/usage/rollup.ts'
import { NOON_MS } from './history.ts'

const count = fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 5_000 }), fc.nat({ max: 1_000_000_000 }))

/** Any counters that a store can hold: refused and unpriced requests are requests. */
const anyCell: fc.Arbitrary<Rollup> = fc
  .record({
    model: fc.oneof(fc.constantFrom('gpt-4o', 'o3'), fc.string({ minLength: 1, maxLength: 12 })),
    country: fc.option(fc.constantFrom('US', 'CA', 'RO', 'VN'), { nil: undefined }),
    made: count,
    refused: count,
    inputTokens: count,
    outputTokens: count,
    cachedInputTokens: count,
    // $100,000 a minute; sums stay whole numbers, as they do in the store.
    costNanoUsd: fc.oneof(count, fc.integer({ min: 0, max: 1e14 })),
    unpricedShare: fc.nat({ max: 2 }),
  })
  .filter(({ made, refused }) => made + refused > 0)
  .map(({ made, unpricedShare, ...cell }) => ({
    ...cell,
    keyId: 'key-7',
    bucketMs: NOON_MS,
    requests: made + cell.refused,
    unpriced: Math.floor((made * unpricedShare) / 2),
  }))

/** Hours in ascending order, some together, some weeks apart. */
const irregularHours: fc.Arbitrary<ClosedHour[]> = fc
  .array(
    fc.record({
      gapHours: fc.oneof(fc.constant(0), fc.nat({ max: 30 }), fc.nat({ max: 2_000 })),
      cells: fc.array(anyCell, { minLength: 1, maxLength: 3 }),
      busiestFiveMinutes: fc.option(count, { nil: undefined }),
      suspect: fc.boolean(),
    }),
    { maxLength: 40 },
  )
  .map((hours) => {
    let hourMs = NOON_MS
    const placed = hours.toReversed().map(({ gapHours, cells, ...hour }) => {
      hourMs -= (1 + gapHours) * HOUR_MS
      return { ...hour, hourMs, rollups: cells.map((cell) => ({ ...cell, bucketMs: hourMs })) }
    })
    return placed.toReversed()
  })

/** One hour of every day. */
const dailyHours: fc.Arbitrary<ClosedHour[]> = fc
  .record({
    days: fc.integer({ min: 1, max: 60 }),
    hour: fc.integer({ min: 1, max: 24 }),
    cell: anyCell,
    suspect: fc.boolean(),
  })
  .map(({ days, hour, cell, suspect }) =>
    Array.from({ length: days }, (_, day) => {
      const hourMs = NOON_MS - (days - day - 1) * DAY_MS - hour * HOUR_MS
      return { hourMs, rollups: [{ ...cell, bucketMs: hourMs }], suspect: suspect && day % 7 === 0 }
    }),
  )

export const anyHours: fc.Arbitrary<ClosedHour[]> = fc.oneof(irregularHours, dailyHours)

/** Minute rollups of the two hours before an instant between 12:00 and 13:00. */
export const anyUsage: fc.Arbitrary<{ readonly usage: KeyUsage; readonly nowMs: number }> = fc
  .record({
    afterMs: fc.nat({ max: HOUR_MS - 1 }),
    cells: fc.array(fc.record({ ago: fc.nat({ max: 119 }), cell: anyCell }), { maxLength: 30 }),
  })
  .map(({ afterMs, cells }) => {
    const nowMs = NOON_MS + afterMs
    const minuteMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
    const rollups = cells
      .map(({ ago, cell }) => ({ ...cell, bucketMs: minuteMs - ago * MINUTE_MS }))
      .toSorted((a, b) => a.bucketMs - b.bucketMs)
    return {
      usage: { key: { keyId: 'key-7', teamId: undefined, environment: undefined }, rollups, sources: [] },
      nowMs,
    }
  })

export function profileOf(hours: readonly ClosedHour[], firstSeenMs = NOON_MS): Profile {
  const empty = emptyProfile({
    keyId: 'key-7',
    firstSeenMs: hours[0]?.hourMs ?? firstSeenMs,
    timeZone: 'UTC',
  })
  return hours.reduce((profile, hour) => learnHour(profile, hour, 'UTC'), empty)
}
