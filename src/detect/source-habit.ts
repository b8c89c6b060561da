import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import type { SourceUsage } from '../usage/source.ts'
import { keptWith, type KeptWith } from './kept-with.ts'
import { sixDigits } from './six-digits.ts'

/** Which addresses use a key, and how much of its work each does. */
export interface SourceHabit {
  /** At most ADDRESSES_MAX, in order of first sight; the one unseen for longest is forgotten first. */
  readonly addresses: readonly KnownAddress[]
  /** Successful requests of about the last SOURCE_SPANS_MS, and what the habit of the week would have made of the same hours. */
  readonly made: Faded
  readonly usual: Faded
  /** Squares of `usual`, hour by hour: how many hours `usual` is made of. */
  readonly usualSquares: Faded
}

export interface KnownAddress {
  readonly address: string
  readonly firstMs: number
  readonly lastMs: number
  /** Successful requests, faded to the end of the hour of `lastMs`. */
  readonly made: Faded
  readonly fadedToMs: number
}

/** One sum for each of SOURCE_SPANS_MS. */
export type Faded = readonly number[]

/** Half-lives of the sums: a drip of hours, a creep of days, and the shares that addresses usually have. */
export const SOURCE_SPANS_MS = [4 * HOUR_MS, DAY_MS, 3 * DAY_MS] as const
/** More addresses than this are an egress that rotates, and no address of it means anything. */
export const ADDRESSES_MAX = 64
/** An address unseen for so long is forgotten: it may be somebody else's by now. */
const FORGOTTEN_AFTER_MS = 14 * DAY_MS

export const NO_SOURCES: SourceHabit = {
  addresses: [],
  made: SOURCE_SPANS_MS.map(() => 0),
  usual: SOURCE_SPANS_MS.map(() => 0),
  usualSquares: SOURCE_SPANS_MS.map(() => 0),
}

/** The habit after one more closed hour with successful requests, or with none. `usual` is what the week's habit expected of it. */
export function withSources(
  habit: SourceHabit,
  hour: { readonly hourMs: number; readonly made: number; readonly usual: number },
  sources: readonly SourceUsage[],
): SourceHabit {
  return {
    addresses: withAddresses(habit.addresses, hour.hourMs + HOUR_MS, sources),
    made: plus(faded(habit.made, HOUR_MS), hour.made),
    usual: plus(faded(habit.usual, HOUR_MS), hour.usual),
    usualSquares: plus(faded(habit.usualSquares, HOUR_MS), hour.usual ** 2),
  }
}

/**
 * How many new addresses a day the key meets: those of the time that addresses are remembered, but not of its first day,
 * over the days, with half an address in five days for a key that is hardly known.
 */
export function newAddressRate(
  { addresses }: SourceHabit,
  { firstSeenMs, nowMs }: { readonly firstSeenMs: number; readonly nowMs: number },
): number {
  const fromMs = Math.max(firstSeenMs + DAY_MS, nowMs - FORGOTTEN_AFTER_MS)
  // What came within the last day may be what is judged.
  const toMs = nowMs - DAY_MS
  const met = addresses.filter(({ firstMs }) => firstMs >= fromMs && firstMs < toMs).length
  return (met + 0.5) / (Math.max(0, toMs - fromMs) / DAY_MS + 5)
}

const firstUses = keptWith<SourceHabit, ReadonlyMap<string, number>>()

/** An address that used the key within so short a time, once, tried it: that it did is no reason to take it for the key's own. */
const ONE_OCCASION_MS = HOUR_MS
/** And for a day it is new, whatever it does. */
export const NEW_FOR_MS = DAY_MS

/** True when the address is the key's own at `nowMs`: it has used it on more than one occasion, first more than a day ago. */
export function isOwnAddress({ firstMs, lastMs }: KnownAddress, nowMs: number): boolean {
  return firstMs < nowMs - NEW_FOR_MS && lastMs - firstMs >= ONE_OCCASION_MS
}

/**
 * When each address that used the key on more than one occasion first used it. Remembered per habit: it changes once an
 * hour, ticks ask every few seconds.
 */
export function firstUsesOf(habit: SourceHabit): ReadonlyMap<string, number> {
  return remembered(firstUses, habit, ({ firstMs, lastMs }) => lastMs - firstMs >= ONE_OCCASION_MS)
}

const everyFirstUse = keptWith<SourceHabit, ReadonlyMap<string, number>>()

/** When each address first used the key, those of one occasion too. Remembered as `firstUsesOf` is. */
export function everyFirstUseOf(habit: SourceHabit): ReadonlyMap<string, number> {
  return remembered(everyFirstUse, habit, () => true)
}

function remembered(
  uses: KeptWith<SourceHabit, ReadonlyMap<string, number>>,
  habit: SourceHabit,
  isWanted: (entry: KnownAddress) => boolean,
): ReadonlyMap<string, number> {
  let known = uses.get(habit)
  if (known === undefined) {
    known = new Map(habit.addresses.filter(isWanted).map(({ address, firstMs }) => [address, firstMs]))
    uses.set(habit, known)
  }
  return known
}

/** The sums as they are `ms` later when nothing is added. */
export function faded(sums: Faded, ms: number): Faded {
  return sums.map((sum, span) => sixDigits(sum * fadeOf(span, ms)))
}

/** One of these sums. */
export function fadedSum(sums: Faded, span: number, ms: number): number {
  return sixDigits((sums[span] ?? 0) * fadeOf(span, ms))
}

function fadeOf(span: number, ms: number): number {
  return (ms === HOUR_MS ? HOUR_FADES[span] : undefined) ?? 0.5 ** (ms / (SOURCE_SPANS_MS[span] ?? 1))
}
/** Nearly always it is one hour: powers are dear. */
const HOUR_FADES = SOURCE_SPANS_MS.map((spanMs) => 0.5 ** (HOUR_MS / spanMs))

function plus(sums: Faded, more: number): Faded {
  return sums.map((sum) => sixDigits(sum + more))
}

function withAddresses(
  known: readonly KnownAddress[],
  untilMs: number,
  sources: readonly SourceUsage[],
): readonly KnownAddress[] {
  const used = sources.filter(({ requests, refused }) => requests > refused)
  if (used.length === 0) return known
  const byAddress = new Map(known.map((entry) => [entry.address, entry]))
  for (const source of used) {
    const before = byAddress.get(source.address)
    const made = source.requests - source.refused
    byAddress.set(source.address, {
      address: source.address,
      firstMs: before?.firstMs ?? source.firstMs,
      lastMs: Math.max(before?.lastMs ?? -Infinity, source.lastMs),
      made: plus(
        before === undefined ? SOURCE_SPANS_MS.map(() => 0) : faded(before.made, untilMs - before.fadedToMs),
        made,
      ),
      fadedToMs: untilMs,
    })
  }
  const all = [...byAddress.values()].filter(({ lastMs }) => lastMs > untilMs - FORGOTTEN_AFTER_MS)
  if (all.length <= ADDRESSES_MAX) return all
  const kept = new Set(
    all.toSorted((a, b) => b.lastMs - a.lastMs || (a.address < b.address ? -1 : 1)).slice(0, ADDRESSES_MAX),
  )
  return all.filter((entry) => kept.has(entry))
}
