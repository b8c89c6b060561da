import { learnHour, type ClosedHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { KeyUsage } from '../../src/usage/key-usage.ts'
import { bucketStart, type Rollup } from '../../src/usage/rollup.ts'
import { SOURCE_BUCKET_MS, type SourceUsage } from '../../src/usage/source.ts'
import fc from '../harness/fast-check.ts'
import { NOON_MS, source } from './history.ts'

const count = fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 5_000 }), fc.nat({ max: 1_000_000_000 }))

/** Any counters that a store can hold: refused and unpriced requests are requests. */
const cellOf = (count: fc.Arbitrary<number>): fc.Arbitrary<Rollup> =>
  fc
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
const anyCell = cellOf(count)
/** A few calls, as of somebody who tries a key. */
const smallCell = cellOf(fc.nat({ max: 3 }))

/** Places of addresses: each address has one. 0,0 of a place database is unknown by now. */
const PLACES = [
  { country: 'US', latitude: 40.7, longitude: -74 },
  { country: 'GB', latitude: 51.5, longitude: -0.1 },
  { country: 'VN', latitude: 21, longitude: 105.8 },
  { country: undefined, latitude: undefined, longitude: undefined },
] as const

/** Usage of one address; the number says which. */
const anySource = fc
  .record({
    number: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 5_000 })),
    made: fc.nat({ max: 5_000 }),
    refused: fc.nat({ max: 5 }),
    atShare: fc.double({ min: 0, max: 0.99, noNaN: true }),
    lasts: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .filter(({ made, refused }) => made + refused > 0)

type AnySource = typeof anySource extends fc.Arbitrary<infer Value> ? Value : never

/** The sources of a bucket, each address once, ascending by address. */
function sourcesAt(bucketMs: number, sizeMs: number, drawn: readonly AnySource[]): SourceUsage[] {
  const byAddress = new Map(
    drawn.map(({ number, made, refused, atShare, lasts }) => {
      const firstMs = bucketMs + Math.floor(atShare * sizeMs)
      const lastMs = Math.min(bucketMs + sizeMs - 1, firstMs + Math.floor(lasts * sizeMs))
      const address =
        number % 7 === 6
          ? `2001:db8::${number.toString(16)}`
          : `10.${number % 3}.${number >> 8}.${number & 255}`
      const place = PLACES[number % PLACES.length] ?? PLACES[0]
      const cell = { requests: made + refused, refused, bucketMs, address, firstMs, lastMs, ...place }
      return [address, source(cell)] as const
    }),
  )
  return [...byAddress.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1))
}

/** Hours in ascending order, some together, some weeks apart. */
const irregularHours: fc.Arbitrary<ClosedHour[]> = fc
  .array(
    fc.record({
      gapHours: fc.oneof(fc.constant(0), fc.nat({ max: 30 }), fc.nat({ max: 2_000 })),
      cells: fc.array(anyCell, { minLength: 1, maxLength: 3 }),
      drawn: fc.array(anySource, { maxLength: 4 }),
      busiestFiveMinutes: fc.option(count, { nil: undefined }),
      largestTokensPerRequest: fc.option(count, { nil: undefined }),
      suspect: fc.boolean(),
    }),
    { maxLength: 40 },
  )
  .map((hours) => {
    let hourMs = NOON_MS
    const placed = hours.toReversed().map(({ gapHours, cells, drawn, ...hour }) => {
      hourMs -= (1 + gapHours) * HOUR_MS
      const rollups = cells.map((cell) => ({ ...cell, bucketMs: hourMs }))
      return { ...hour, hourMs, rollups, sources: sourcesAt(hourMs, HOUR_MS, drawn) }
    })
    return placed.toReversed()
  })

/** One hour of every day. */
const dailyHours: fc.Arbitrary<ClosedHour[]> = fc
  .record({
    days: fc.integer({ min: 1, max: 60 }),
    hour: fc.integer({ min: 1, max: 24 }),
    cell: anyCell,
    drawn: fc.array(anySource, { maxLength: 4 }),
    suspect: fc.boolean(),
  })
  .map(({ days, hour, cell, drawn, suspect }) =>
    Array.from({ length: days }, (_, day) => {
      const hourMs = NOON_MS - (days - day - 1) * DAY_MS - hour * HOUR_MS
      return {
        hourMs,
        rollups: [{ ...cell, bucketMs: hourMs }],
        sources: sourcesAt(hourMs, HOUR_MS, drawn),
        suspect: suspect && day % 7 === 0,
      }
    }),
  )

/** Some hours of each day for weeks, of a level that may rise, ended up to three days ago. */
export const steadyHours: fc.Arbitrary<ClosedHour[]> = fc
  .record({
    days: fc.oneof(fc.integer({ min: 1, max: 35 }), fc.integer({ min: 10, max: 35 })),
    perDay: fc.constantFrom(1, 4, 4),
    // About three days: when a key of four hours a day has been silent for too long.
    endedHoursAgo: fc.oneof(fc.nat({ max: 75 }), fc.integer({ min: 66, max: 75 })),
    rises: fc.double({ min: 0.8, max: 6, noNaN: true }),
    cell: anyCell,
    drawn: fc.array(anySource, { maxLength: 2 }),
    suspect: fc.boolean(),
  })
  .map(({ days, perDay, endedHoursAgo, rises, cell, drawn, suspect }) =>
    Array.from({ length: days * perDay }, (_, index) => {
      const hourMs = NOON_MS - (endedHoursAgo + 1 + (days * perDay - 1 - index) * (24 / perDay)) * HOUR_MS
      const level = hourMs > NOON_MS - 8 * DAY_MS ? rises : 1
      const refused = cell.refused
      const made = Math.ceil((cell.requests - refused) * level)
      const rollup = {
        ...cell,
        bucketMs: hourMs,
        requests: made + refused,
        unpriced: Math.min(made, cell.unpriced),
      }
      return {
        hourMs,
        rollups: [rollup],
        sources: sourcesAt(hourMs, HOUR_MS, drawn),
        suspect: suspect && index % 11 === 0,
      }
    }),
  )

export const anyHours: fc.Arbitrary<ClosedHour[]> = fc.oneof(irregularHours, dailyHours)

/** Minute rollups and sources of the two hours before an instant between 12:00 and 13:00. */
export const anyUsage: fc.Arbitrary<{ readonly usage: KeyUsage; readonly nowMs: number }> = fc
  .record({
    afterMs: fc.nat({ max: HOUR_MS - 1 }),
    cells: fc.oneof(
      fc.array(fc.record({ ago: fc.nat({ max: 119 }), cell: anyCell }), { maxLength: 30 }),
      fc.array(fc.record({ ago: fc.nat({ max: 119 }), cell: smallCell }), { maxLength: 10 }),
    ),
    buckets: fc.array(fc.array(anySource, { maxLength: 4 }), { minLength: 12, maxLength: 12 }),
  })
  .map(({ afterMs, cells, buckets }) => {
    const nowMs = NOON_MS + afterMs
    const minuteMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
    const rollups = cells
      .map(({ ago, cell }) => ({ ...cell, bucketMs: minuteMs - ago * MINUTE_MS }))
      .toSorted((a, b) => a.bucketMs - b.bucketMs)
    const sources = buckets
      .flatMap((drawn, index) => {
        const bucketMs = bucketStart(nowMs, SOURCE_BUCKET_MS) - (11 - index) * SOURCE_BUCKET_MS
        return sourcesAt(bucketMs, SOURCE_BUCKET_MS, drawn)
      })
      .filter(({ firstMs }) => firstMs <= nowMs)
    return {
      usage: { key: { keyId: 'key-7', teamId: undefined, environment: undefined }, rollups, sources },
      nowMs,
    }
  })

/** A key that nobody uses, but for calls that are refused. */
export const noUsage: typeof anyUsage = anyUsage.map(({ usage, nowMs }) => ({
  nowMs,
  usage: {
    ...usage,
    rollups: usage.rollups.slice(0, 2).map((part) => ({ ...part, refused: part.requests, unpriced: 0 })),
    sources: [],
  },
}))

export function profileOf(hours: readonly ClosedHour[], firstSeenMs = NOON_MS): Profile {
  const empty = emptyProfile({
    keyId: 'key-7',
    firstSeenMs: hours[0]?.hourMs ?? firstSeenMs,
    timeZone: 'UTC',
  })
  return hours.reduce((profile, hour) => learnHour(profile, hour, 'UTC'), empty)
}
