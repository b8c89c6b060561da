import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { rollupsWithin, type KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type Rollup } from '../usage/rollup.ts'
import { isKeptHour } from './ledger.ts'
import { entriesOf, type LedgerEntry } from './ledger-spans.ts'
import { LEDGER_HOURS, type Profile } from './profile.ts'

/** Windows up to this are summed by the minute, of which a tick has two hours. */
const MINUTES_KEPT_MS = 2 * HOUR_MS

/** What was spent from `fromMs` on. */
export interface Spending {
  readonly fromMs: number
  readonly requests: number
  readonly costNanoUsd: number
  /** Successful requests whose cost nobody knows; not in `costNanoUsd`. */
  readonly unpriced: number
}

/**
 * What a key spent in the rolling window that ends now: whole minutes for windows of up to two hours, whole hours for
 * up to two days, and beyond that whole UTC days at its old end.
 */
export function spentWithin(judged: Judged, windowMs: number): Spending {
  return total(entriesWithin(judged, windowMs))
}

/** What a key spent since the start of a period: exact to the hour, the ledger keeps the hours in which periods start. */
export function spentSince(judged: Judged, startMs: number): Spending {
  return total(entriesSince(judged, startMs, { firstDayByHours: true }))
}

/**
 * When the rolling sum will be back at `atMostNanoUsd` if nothing more is spent: as the spans leave the window, oldest
 * first. `nowMs` when it is not above it.
 */
export function backBelowMs(judged: Judged, windowMs: number, atMostNanoUsd: number): number {
  const { entries } = entriesWithin(judged, windowMs)
  let left = entries.reduce((sum, [, , costNanoUsd]) => sum + costNanoUsd, 0)
  let atMs = judged.nowMs
  for (const [startMs, , costNanoUsd] of entries.toSorted((a, b) => a[0] - b[0])) {
    if (left <= atMostNanoUsd) return atMs
    left -= costNanoUsd
    atMs = Math.max(atMs, startMs + windowMs)
  }
  return atMs
}

interface Judged {
  readonly profile: Profile
  readonly usage: KeyUsage
  readonly nowMs: number
}

interface Entries {
  readonly fromMs: number
  readonly entries: readonly LedgerEntry[]
}

function entriesWithin(judged: Judged, windowMs: number): Entries {
  const { usage, nowMs } = judged
  // By whole days at its old end, also where the ledger happens to have hours: a rolling sum knows no calendar.
  if (windowMs > MINUTES_KEPT_MS) return entriesSince(judged, nowMs - windowMs, { firstDayByHours: false })
  return {
    fromMs: bucketStart(nowMs) - windowMs + MINUTE_MS,
    entries: rollupsWithin(usage, windowMs, nowMs).map(entryOf),
  }
}

/**
 * Never too much: where the time starts within a span that is kept whole, that span is left out. Spans are hours for the
 * last two days and where a month or week begins, and UTC days beyond: `fromMs` tells where the sum really begins.
 */
function entriesSince(
  { profile, usage, nowMs }: Judged,
  startMs: number,
  { firstDayByHours }: { readonly firstDayByHours: boolean },
): Entries {
  const { hours, days } = profile.ledger
  const fromMs = ceilTo(startMs, HOUR_MS)
  const openFromMs = Math.max(fromMs, profile.learnedUntilMs)
  const open = usage.rollups
    .filter(({ bucketMs }) => bucketMs >= openFromMs && bucketMs <= nowMs)
    .map(entryOf)
  const keptFromMs = profile.learnedUntilMs - LEDGER_HOURS * HOUR_MS
  if (fromMs >= keptFromMs)
    return { fromMs, entries: [...entriesOf(hours, fromMs, profile.learnedUntilMs), ...open] }
  // The rest of the first day, where hours tell it; whole days up to a midnight; hours from it on. A day that the hours
  // do not cover whole is taken as a day.
  const daysFromMs = ceilTo(startMs, DAY_MS)
  const daysUntilMs = Math.max(daysFromMs, Math.floor(keptFromMs / DAY_MS) * DAY_MS + DAY_MS)
  const firstDay = firstDayByHours ? restOfDay(profile, fromMs) : undefined
  return {
    fromMs: firstDay === undefined ? daysFromMs : fromMs,
    entries: [
      ...(firstDay ?? []),
      ...entriesOf(days, daysFromMs, daysUntilMs),
      ...entriesOf(hours, daysUntilMs, profile.learnedUntilMs),
      ...open,
    ],
  }
}

/**
 * What was spent from an hour to the end of its UTC day: the sum of its hours where the ledger still has them, or else
 * the day without the hours before. Undefined where it has neither.
 */
function restOfDay({ ledger, learnedUntilMs }: Profile, fromMs: number): LedgerEntry[] | undefined {
  const dayMs = bucketStart(fromMs, DAY_MS)
  const isKept = (hourMs: number): boolean => isKeptHour(hourMs, learnedUntilMs - HOUR_MS)
  if (everyHour(fromMs, ceilTo(fromMs, DAY_MS), isKept))
    return entriesOf(ledger.hours, fromMs, ceilTo(fromMs, DAY_MS))
  if (!everyHour(dayMs, fromMs, isKept)) return undefined
  const before = total({ fromMs: dayMs, entries: entriesOf(ledger.hours, dayMs, fromMs) })
  return entriesOf(ledger.days, dayMs, dayMs + 1).map(([, requests, costNanoUsd, unpriced]) => [
    fromMs,
    requests - before.requests,
    costNanoUsd - before.costNanoUsd,
    unpriced - before.unpriced,
  ])
}

function everyHour(fromMs: number, untilMs: number, holds: (hourMs: number) => boolean): boolean {
  for (let hourMs = fromMs; hourMs < untilMs; hourMs += HOUR_MS) if (!holds(hourMs)) return false
  return true
}

function entryOf(rollup: Rollup): LedgerEntry {
  return [rollup.bucketMs, rollup.requests - rollup.refused, rollup.costNanoUsd, rollup.unpriced]
}

function total({ fromMs, entries }: Entries): Spending {
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
