import { HOUR_MS } from '../usage/duration.ts'
import type { Rollup } from '../usage/rollup.ts'
import type { KnownValue } from './profile.ts'

/** Countries or models remembered of one key; the one unseen for longest is forgotten first. */
const KNOWN_MAX = 40
/** A value that is used without a pause stays news for so long, then it is known: a move must come to rest. */
const NEWS_MS = 6 * HOUR_MS

/** Marks as known what is news no longer: its first use has paused for a whole hour, or has lasted NEWS_MS. */
export function settleKnown(values: readonly KnownValue[], hourMs: number): readonly KnownValue[] {
  if (values.every((value) => value.settled)) return values
  return values.map((value) =>
    value.settled || !isFirstUse(value, { hourMs, nowMs: hourMs }) ? { ...value, settled: true } : value,
  )
}

/** True at `nowMs` while the hour at `hourMs` continues the first use of a value. */
export function isFirstUse(
  value: KnownValue,
  { hourMs, nowMs }: { readonly hourMs: number; readonly nowMs: number },
): boolean {
  return !value.settled && hourMs - value.lastSeenMs <= HOUR_MS && nowMs - value.firstSeenMs < NEWS_MS
}

/** Adds what the successful requests of an hour used. An unknown value (undefined) is not a value. */
export function withSeen(
  values: readonly KnownValue[],
  { hourMs, rollups }: { readonly hourMs: number; readonly rollups: readonly Rollup[] },
  valueOf: (rollup: Rollup) => string | undefined,
): readonly KnownValue[] {
  const seen = countByValue(rollups, valueOf)
  if (seen.size === 0) return values
  const updated = values.map((known) => {
    const requests = seen.get(known.value)
    return requests === undefined
      ? known
      : { ...known, lastSeenMs: hourMs, requests: known.requests + requests }
  })
  const old = new Set(values.map((known) => known.value))
  // In order of the text, so that the order of the rollups means nothing.
  const added = [...seen].filter(([value]) => !old.has(value)).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const all = [
    ...updated,
    ...added.map(([value, requests]) => ({
      value,
      firstSeenMs: hourMs,
      lastSeenMs: hourMs,
      requests,
      settled: false,
    })),
  ]
  if (all.length <= KNOWN_MAX) return all
  const kept = new Set(
    all.toSorted((a, b) => b.lastSeenMs - a.lastSeenMs || b.requests - a.requests).slice(0, KNOWN_MAX),
  )
  return all.filter((value) => kept.has(value))
}

/** Successful requests by value. */
export function countByValue(
  rollups: readonly Rollup[],
  valueOf: (rollup: Rollup) => string | undefined,
): Map<string, number> {
  const counts = new Map<string, number>()
  for (const rollup of rollups) {
    const value = valueOf(rollup)
    const made = rollup.requests - rollup.refused
    if (value === undefined || made <= 0) continue
    counts.set(value, (counts.get(value) ?? 0) + made)
  }
  return counts
}
