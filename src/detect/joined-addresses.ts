import { DAY_MS, MINUTE_MS } from '../usage/duration.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../usage/key-usage.ts'
import { digestOf } from '../usage/usage-digest.ts'
import { keptWith } from './kept-with.ts'
import { presenceOf, SERVICE_HOURS } from './presence.ts'
import type { Profile } from './profile.ts'
import {
  ADDRESSES_MAX,
  everyFirstUseOf,
  NEW_FOR_MS,
  newAddressRate,
  type SourceHabit,
} from './source-habit.ts'

/**
 * New addresses that joined the key's own instead of taking the place of one: more are in use at once than ever before, or
 * the key has kept its own for so long that none of them is likely to be replaced.
 */
export interface JoinedAddresses {
  /** The first use of the first of them. */
  readonly sinceMs: number
  readonly addresses: readonly string[]
  /** How many addresses were in use since then, these among them, and how many ever were at once before. */
  readonly inUse: number
  readonly atOnce: number
  /** How long the key was in use by addresses that are remembered. */
  readonly watchedDays: number
  /** How many addresses were in use within a day, and how long no new one had come. */
  readonly kept: number
  readonly keptDays: number
  readonly newPerDay: number
  /** How many such a day the key's habit brings. */
  readonly perDay: number
}

/** Addresses that come within so short a time come together. */
const TOGETHER_MS = 30 * MINUTE_MS
/**
 * Of the new addresses that a key meets by habit, so many make more of them at once than ever before: 8 of some 4,700 on the
 * clean keys of six tuning fleets. Of those that come together in twos or more, where one that was in use when the first
 * came may have gone when the second did, so many of the pairs.
 */
const JOINING_SHARE = 0.0016
const JOINING_SHARE_TOGETHER = 0.2
/**
 * Who has one address at a time changes the network, and back again, within two hours: on real rhythms 43 of 46 such
 * findings. So many of these new addresses look like one that joins, but on what is used round the clock.
 */
const SWITCHING_SHARE = 0.1
/** A most that was reached within some days is exceeded at about this rate over those days. */
const EXCEEDED = 0.01
/** In less than a day no number of addresses is a habit. */
const WATCHED_DAYS_MIN = 1
/**
 * Addresses that were kept for so many days, all taken together, are followed by a new one at this rate over those days.
 * After 50 such days and more: none but two of other regions in 1,750 days of clean keys of six tuning fleets. After 40 to
 * 50: three in 370 days.
 */
const KEPT = 1 / 16
/** What is no rarer is not worth telling: it would be told of every address that is assigned anew. */
const KEPT_PER_DAY_MAX = 1 / 640
/** One or two tell nothing of whether others would be kept. */
const KEPT_MIN = 3
const NEWCOMERS_MAX = 12

/**
 * The new addresses of the recent usage that came beside as many of the key's own as never were in use at once with one
 * more. An address that takes the place of another leaves their number as it was; this is told by the first requests, as
 * soon as the own addresses have been in use again. And the first one that comes to a key that has kept several for long:
 * there nothing needs to be waited for. Addresses of countries that are new to the key are left out: there they are news
 * themselves. Undefined when there are none, or where addresses mean nothing.
 */
export function joinedAddresses(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  /** Addresses first used before this were learnt with the key. */
  knownFromMs: number,
): JoinedAddresses | undefined {
  // Nearly always all addresses are known, and then this is all that is done.
  if (isNoneNew({ usage, profile, nowMs }, knownFromMs)) return undefined
  const fromMs = Math.max(knownFromMs, nowMs - RECENT_USAGE_MS)
  const uses = usesOf(profile, usage, nowMs)
  const newcomers = uses.filter(({ firstMs }) => firstMs >= fromMs)
  let rarest: JoinedAddresses | undefined
  for (const { firstMs } of newcomers.slice(0, NEWCOMERS_MAX)) {
    const joined = joinedSince(profile, uses, firstMs)
    if (joined !== undefined && (rarest === undefined || joined.perDay < rarest.perDay)) rarest = joined
  }
  return rarest
}

/** True when all addresses of the usage are known, and stay so, or when addresses mean nothing. */
export function isNoneNew(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  knownFromMs: number,
): boolean {
  const { sources } = profile
  if (sources.addresses.length === 0 || sources.addresses.length >= ADDRESSES_MAX) return true
  const fromMs = Math.max(knownFromMs, nowMs - RECENT_USAGE_MS)
  return !isAnyNew(sources, usage, { fromMs, nowMs })
}

function isAnyNew(
  habit: SourceHabit,
  usage: KeyUsage,
  { fromMs, nowMs }: { readonly fromMs: number; readonly nowMs: number },
): boolean {
  const firstUses = everyFirstUseOf(habit)
  const isNew = (address: string): boolean => (firstUses.get(address) ?? Infinity) >= fromMs
  const { addresses } = digestOf(usage, nowMs)
  if (addresses === undefined) return usage.sources.some(({ address }) => isNew(address))
  // What is not new is never new again, and the same list is asked about at tick after tick.
  const last = noneNew.get(habit)
  if (last !== undefined && last.addresses === addresses && last.fromMs <= fromMs) return false
  const isAny = addresses.some((address) => isNew(address))
  if (!isAny) noneNew.set(habit, { addresses, fromMs })
  return isAny
}

/** The list of addresses of which none was new, when it was last asked about. */
const noneNew = keptWith<SourceHabit, { readonly addresses: readonly string[]; readonly fromMs: number }>()

interface Use {
  readonly address: string
  /** The first use of all, and from when to when in each bucket of the recent usage. */
  readonly firstMs: number
  readonly spans: readonly { readonly firstMs: number; readonly lastMs: number }[]
}

/** The successful recent use by address, in order of first use. */
function usesOf(profile: Profile, usage: KeyUsage, nowMs: number): Use[] {
  const firstUses = everyFirstUseOf(profile.sources)
  const spans = new Map<string, { firstMs: number; lastMs: number }[]>()
  for (const { address, country, requests, refused, firstMs, lastMs } of usage.sources) {
    if (requests <= refused || firstMs > nowMs || !isAtHome(profile, country, nowMs)) continue
    const known = spans.get(address)
    if (known === undefined) spans.set(address, [{ firstMs, lastMs }])
    else known.push({ firstMs, lastMs })
  }
  return [...spans]
    .map(([address, inUse]) => ({
      address,
      firstMs: Math.min(firstUses.get(address) ?? Infinity, ...inUse.map(({ firstMs }) => firstMs)),
      spans: inUse,
    }))
    .toSorted((a, b) => a.firstMs - b.firstMs || (a.address < b.address ? -1 : 1))
}

/** True for a country that the key has used for a day, and for an unknown one: it is not a new one. */
function isAtHome({ countries }: Profile, country: string | undefined, nowMs: number): boolean {
  return (
    country === undefined ||
    countries.some(({ value, firstSeenMs }) => value === country && firstSeenMs < nowMs - NEW_FOR_MS)
  )
}

/** What joined with the address that was first used at `sinceMs`, by itself or together with others. */
function joinedSince(profile: Profile, uses: readonly Use[], sinceMs: number): JoinedAddresses | undefined {
  const older = uses.filter(({ firstMs }) => firstMs < sinceMs)
  const beside = (untilMs: number): number =>
    older.filter(({ spans }) => spans.some((span) => span.lastMs > sinceMs && span.firstMs <= untilMs)).length
  const habit = {
    ...mostAtOnce(profile.sources, sinceMs),
    ...keptBefore(profile.sources, sinceMs),
    newPerDay: newAddressRate(profile.sources, { ...profile, nowMs: sinceMs }),
  }
  const { newPerDay, watchedDays } = habit
  const found: JoinedAddresses[] = []
  const add = (came: readonly Use[], others: number, perDay: number): void => {
    const addresses = came.map(({ address }) => address)
    found.push({ ...habit, sinceMs, addresses, inUse: others + came.length, perDay })
  }
  const joins = (came: readonly Use[], others: number, perDay: number): void => {
    if (others > 0 && others + came.length > habit.atOnce && watchedDays >= WATCHED_DAYS_MIN)
      add(came, others, Math.max(perDay, EXCEEDED / watchedDays))
  }
  const untilMs = sinceMs + TOGETHER_MS
  const came = uses.filter(({ firstMs }) => firstMs >= sinceMs && firstMs <= untilMs)
  const mayBeSwitched = habit.atOnce < 2 && presenceOf(profile.week).hoursPerDay < SERVICE_HOURS
  const share = mayBeSwitched ? SWITCHING_SHARE : JOINING_SHARE
  joins(came.slice(0, 1), beside(Infinity), share * newPerDay)
  if (came.length > 1 && !mayBeSwitched) {
    const pairsPerDay = newPerDay * Math.min(1, newPerDay * (TOGETHER_MS / DAY_MS))
    joins(came, beside(untilMs), JOINING_SHARE_TOGETHER * pairsPerDay)
  }
  const keptDays = habit.kept * habit.keptDays
  if (habit.kept >= KEPT_MIN && KEPT / keptDays <= KEPT_PER_DAY_MAX)
    add(came.slice(0, 1), beside(Infinity), KEPT / keptDays)
  return found.toSorted((a, b) => a.perDay - b.perDay)[0]
}

/** The addresses in use within a day before an instant, and the days since the newest of all that are remembered came. */
function keptBefore(
  { addresses }: SourceHabit,
  beforeMs: number,
): Pick<JoinedAddresses, 'kept' | 'keptDays'> {
  const before = addresses.filter(({ firstMs }) => firstMs < beforeMs)
  const newestMs = before.reduce((newest, { firstMs }) => Math.max(newest, firstMs), 0)
  return {
    kept: before.filter(({ lastMs }) => lastMs >= beforeMs - DAY_MS).length,
    keptDays: (beforeMs - newestMs) / DAY_MS,
  }
}

/** The most addresses between whose first and last use the same instant lies, of those first used before `beforeMs`. */
export function mostAtOnce(
  { addresses }: SourceHabit,
  beforeMs: number,
): { readonly atOnce: number; readonly watchedDays: number } {
  const spans = addresses
    .filter(({ firstMs }) => firstMs < beforeMs)
    .toSorted((a, b) => a.firstMs - b.firstMs)
  let atOnce = 0
  let watchedMs = 0
  let coveredToMs = -Infinity
  for (const { firstMs, lastMs } of spans) {
    const inUse = spans.filter((other) => other.firstMs <= firstMs && other.lastMs >= firstMs).length
    atOnce = Math.max(atOnce, inUse)
    watchedMs += Math.max(0, lastMs - Math.max(firstMs, coveredToMs))
    coveredToMs = Math.max(coveredToMs, lastMs)
  }
  return { atOnce, watchedDays: watchedMs / DAY_MS }
}
