import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { RECENT_USAGE_MS, rollupsWithin, type KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type Rollup } from '../usage/rollup.ts'
import { LEDGER_HOURS, type LedgerEntry, type Profile } from './profile.ts'

/** What was spent from `fromMs` on. */
export interface Spending {
  readonly fromMs: number
  readonly requests: number
  readonly costNanoUsd: number
  /** Successful requests whose cost nobody knows; not in `costNanoUsd`. */
  readonly unpriced: number
}

/**
 * What a key spent in the window that ends now. Never too much: where the window starts within a span that is kept
 * whole, that span is left out. Spans are minutes for windows of up to two hours, hours up to two days, and UTC days
 * beyond (their hours where these are still kept): `fromMs` tells where the sum really begins.
 */
export function spentWithin(
  { profile, usage, nowMs }: { readonly profile: Profile; readonly usage: KeyUsage; readonly nowMs: number },
  windowMs: number,
): Spending {
  if (windowMs <= RECENT_USAGE_MS) {
    return total(
      bucketStart(nowMs) - windowMs + MINUTE_MS,
      rollupsWithin(usage, windowMs, nowMs).map(entryOf),
    )
  }
  const startMs = nowMs - windowMs
  const hoursFromMs = Math.max(ceilTo(startMs, HOUR_MS), keptHoursFrom(profile))
  const daysFromMs = ceilTo(startMs, DAY_MS)
  const daysUntilMs = Math.floor(hoursFromMs / DAY_MS) * DAY_MS
  const open = usage.rollups
    .filter((rollup) => rollup.bucketMs >= profile.learnedUntilMs && rollup.bucketMs <= nowMs)
    .map(entryOf)
  if (daysFromMs > daysUntilMs) {
    return total(hoursFromMs, [...within(profile.ledger.hours, hoursFromMs, profile.learnedUntilMs), ...open])
  }
  // Whole days up to a midnight, and hours from it on: a day that the hours do not cover whole is taken as a day.
  return total(daysFromMs, [
    ...within(profile.ledger.days, daysFromMs, daysUntilMs + DAY_MS),
    ...within(profile.ledger.hours, daysUntilMs + DAY_MS, profile.learnedUntilMs),
    ...open,
  ])
}

/** The first hour from which on the ledger is complete by the hour. */
function keptHoursFrom({ learnedUntilMs }: Profile): number {
  return learnedUntilMs - LEDGER_HOURS * HOUR_MS
}

function entryOf(rollup: Rollup): LedgerEntry {
  return [rollup.bucketMs, rollup.requests - rollup.refused, rollup.costNanoUsd, rollup.unpriced]
}

function within(entries: readonly LedgerEntry[], fromMs: number, untilMs: number): LedgerEntry[] {
  return entries.filter(([startMs]) => startMs >= fromMs && startMs < untilMs)
}

function total(fromMs: number, entries: readonly LedgerEntry[]): Spending {
  let requests = 0
  let costNanoUsd = 0
  let unpriced = 0
  for (const entry of entries) {
    requests += entry[1]
    costNanoUsd += entry[2]
    unpriced += entry[3]
  }
  return { fromMs, requests, costNanoUsd, unpriced }
}

function ceilTo(atMs: number, spanMs: number): number {
  return Math.ceil(atMs / spanMs) * spanMs
}
