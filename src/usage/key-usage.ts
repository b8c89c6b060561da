import { HOUR_MS } from './duration.ts'
import type { KeyAttributes } from './event.ts'
import { addInto, BUCKET_MS, NO_USAGE, type Rollup, type UsageTotals } from './rollup.ts'
import type { SourceUsage } from './source.ts'
import { digestOf, type UsageDigest } from './usage-digest.ts'

/**
 * How far back `KeyUsage.rollups` reaches: the open hour, and the hour before it, which is learnt only LEARN_DELAY_MS
 * after it closes. All that is older is in the key's profile.
 */
export const RECENT_USAGE_MS = 2 * HOUR_MS

/** The recent usage of one key, as a tick sees it. */
export interface KeyUsage {
  readonly key: KeyAttributes
  /** Minute rollups of the last RECENT_USAGE_MS, ascending by bucket; none later than the tick. */
  readonly rollups: readonly Rollup[]
  /**
   * Usage per address of the same time, in buckets of SOURCE_BUCKET_MS, ascending by bucket, then address; at most
   * SOURCES_MAX in a bucket. Requests stamped later than the tick, by a clock that is fast, may be in the last bucket.
   */
  readonly sources: readonly SourceUsage[]
  /** What a store keeps summed while usage comes in. Where it keeps nothing, `digestOf` makes it of the rows. */
  readonly digest?: UsageDigest
}

/**
 * The rollups of a window that ends with the current, partial bucket: a window of 5 minutes at 12:03:20 holds the
 * buckets 11:59 to 12:03.
 */
export function rollupsWithin(usage: KeyUsage, windowMs: number, nowMs: number): Rollup[] {
  const fromMs = windowStart(windowMs, nowMs)
  // What is asked for is at the end, so it is looked for from there.
  let end = usage.rollups.length
  while (end > 0 && (usage.rollups[end - 1]?.bucketMs ?? nowMs) > nowMs) end -= 1
  let start = end
  while (start > 0 && (usage.rollups[start - 1]?.bucketMs ?? fromMs) >= fromMs) start -= 1
  return usage.rollups.slice(start, end)
}

/** The sum of `rollupsWithin`. */
export function sumWithin(usage: KeyUsage, windowMs: number, nowMs: number): UsageTotals {
  return digestOf(usage, nowMs).since(windowStart(windowMs, nowMs))
}

function windowStart(windowMs: number, nowMs: number): number {
  return Math.floor(nowMs / BUCKET_MS) * BUCKET_MS - windowMs + BUCKET_MS
}

export function sumRollups(rollups: readonly UsageTotals[]): UsageTotals {
  const sum = { ...NO_USAGE }
  for (const totals of rollups) addInto(sum, totals)
  return sum
}
