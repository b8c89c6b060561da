import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { rollupsWithin, type KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type Rollup } from '../usage/rollup.ts'
import { digestOf, type UsageDigest } from '../usage/usage-digest.ts'
import { keptWith } from './kept-with.ts'
import { countByValue, isFirstUse } from './known-values.ts'
import type { KnownValue, Profile } from './profile.ts'

/** How far back a tick looks for news: what arrives up to an hour late is still seen. */
const NEWS_WINDOW_MS = HOUR_MS
/** What a key uses in its first day is its beginning, not its habit of trying new things. */
const SETTLING_IN_MS = DAY_MS
const HABIT_HALF_LIFE_MS = 14 * DAY_MS

export interface News {
  readonly value: string
  /** Successful requests with it in the window. */
  readonly requests: number
  /** Start of the minute in which the window first has it. */
  readonly seenMs: number
}

/**
 * The values of the last hour that are new to the key, most used first. What was first seen before `knownFromMs` (while
 * the key was being learnt) is not news.
 */
export function newsOf(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  { known, valueOf, valuesOf, knownFromMs }: NewsQuestion,
): News[] {
  const hourMs = lastJudgedHour(profile, nowMs)
  const isOld = (value: string | undefined): boolean =>
    known.some((entry) => entry.value === value && !isFirstUse(entry, { hourMs, nowMs }))
  // Nearly always there is nothing new, and then this is all that is done.
  const values = valuesOf(digestOf(usage, nowMs))
  if (values !== undefined && (areSettled(values, known) || values.every(isOld))) return []
  const recent: Rollup[] = []
  let lastOld: string | undefined
  for (const rollup of rollupsWithin(usage, NEWS_WINDOW_MS, nowMs)) {
    const value = valueOf(rollup)
    // An unknown value is neither new nor old: countByValue passes it over.
    if (value === undefined || value === lastOld) continue
    if (isOld(value)) lastOld = value
    else recent.push(rollup)
  }
  if (recent.length === 0) return []
  const news: News[] = []
  for (const [value, requests] of countByValue(recent, valueOf)) {
    const entry = known.find((candidate) => candidate.value === value)
    const seenMs = firstBucketOf(recent, valueOf, value) ?? nowMs
    if ((entry?.firstSeenMs ?? seenMs) >= knownFromMs) news.push({ value, requests, seenMs })
  }
  return news.toSorted((a, b) => b.requests - a.requests || (a.value < b.value ? -1 : 1))
}

/**
 * True when every value is a settled one of the known, which no time makes new again. The same lists are asked about
 * at tick after tick, so the last that were settled are remembered.
 */
export function areSettled(values: readonly string[], known: readonly KnownValue[]): boolean {
  if (settledValues.get(known) === values) return true
  for (const value of values) if (!known.some((entry) => entry.settled && entry.value === value)) return false
  settledValues.set(known, values)
  return true
}
const settledValues = keptWith<readonly KnownValue[], readonly string[]>()

export interface NewsQuestion {
  readonly known: readonly KnownValue[]
  readonly valueOf: (rollup: Rollup) => string | undefined
  /** All that `valueOf` says of the usage; undefined when it is too many. */
  readonly valuesOf: (digest: UsageDigest) => readonly string[] | undefined
  readonly knownFromMs: number
}

/** The window that newsOf judges, as ISO instants. */
export function newsWindow(nowMs: number): { readonly start: string; readonly end: string } {
  const startMs = bucketStart(nowMs) - NEWS_WINDOW_MS + MINUTE_MS
  return { start: new Date(startMs).toISOString(), end: new Date(nowMs).toISOString() }
}

/**
 * How many new values a day this key meets by habit: those first seen after its first day, faded, over the faded days
 * since. A Gamma-Poisson mean without a prior: a key that never met a new one has the rate 0.
 */
export function noveltyRate(profile: Profile, known: readonly KnownValue[], nowMs: number): number {
  const { met, days } = noveltiesMet(profile, known, nowMs)
  return met / Math.max(days, 1)
}

/** The new values that the key met after its first day, and the days since, both faded. */
export function noveltiesMet(
  profile: Profile,
  known: readonly KnownValue[],
  nowMs: number,
): { readonly met: number; readonly days: number } {
  const settledMs = profile.firstSeenMs + SETTLING_IN_MS
  const observedMs = nowMs - settledMs
  if (observedMs <= 0) return { met: 0, days: 0 }
  const fadedDays = (HABIT_HALF_LIFE_MS / Math.LN2 / DAY_MS) * (1 - 0.5 ** (observedMs / HABIT_HALF_LIFE_MS))
  const met = known
    .filter((entry) => entry.firstSeenMs >= settledMs && entry.settled)
    .reduce((sum, entry) => sum + 0.5 ** (Math.max(0, nowMs - entry.firstSeenMs) / HABIT_HALF_LIFE_MS), 0)
  return { met, days: fadedDays }
}

/** The settled values with their shares of the requests, most used first: `{ US: 0.93, CA: 0.07 }` has two decimals. */
export function knownShares(known: readonly KnownValue[], limit: number): Record<string, number> {
  const settled = known.filter((entry) => entry.settled)
  const total = Math.max(
    1,
    settled.reduce((sum, entry) => sum + entry.requests, 0),
  )
  return Object.fromEntries(
    byUse(settled)
      .slice(0, limit)
      .map((entry) => [entry.value, Number((entry.requests / total).toPrecision(2))]),
  )
}

/** The settled values by use, most used first. */
export function byUse(known: readonly KnownValue[]): KnownValue[] {
  return known
    .filter((entry) => entry.settled)
    .toSorted((a, b) => b.requests - a.requests || (a.value < b.value ? -1 : 1))
}

/**
 * The hour that a first use must still have reached to be going on: the open one once the hour before it has been
 * learnt, else the one before.
 */
function lastJudgedHour(profile: Profile, nowMs: number): number {
  const openHourMs = bucketStart(nowMs, HOUR_MS)
  return Math.max(openHourMs - HOUR_MS, Math.min(openHourMs, profile.learnedUntilMs))
}

function firstBucketOf(
  rollups: readonly Rollup[],
  valueOf: (rollup: Rollup) => string | undefined,
  value: string,
): number | undefined {
  return rollups.find((rollup) => valueOf(rollup) === value && rollup.requests > rollup.refused)?.bucketMs
}
