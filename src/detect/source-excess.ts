import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { keptWith } from './kept-with.ts'
import { spreadOf } from './expected-volume.ts'
import type { Profile } from './profile.ts'
import { ADDRESSES_MAX, fadedSum, isOwnAddress, SOURCE_SPANS_MS, type KnownAddress } from './source-habit.ts'

/** New addresses that add to the work of a key's own, instead of taking it over. Requests, faded over `spanMs`. */
export interface SourceExcess {
  /** Half-life of the sums. */
  readonly spanMs: number
  readonly sinceMs: number
  readonly addresses: readonly string[]
  /** Made by the new addresses, and how much of it no vanished address explains. */
  readonly made: number
  readonly added: number
  /** Made by the addresses that were there before, and what the key usually makes in all. */
  readonly byOwn: number
  readonly usual: number
  /** ln of how much likelier it is that the own addresses do their usual work than that they lost what was added. */
  readonly logRatio: number
}

export interface SourceThresholds {
  readonly logRatio: number
  readonly minRequests: number
  /** Addresses first seen before this were learnt with the key. */
  readonly knownFromMs: number
}

/** An address is new for this long, then it is the key's own. */
const NEW_FOR_MS = 5 * DAY_MS
/** An address that fell silent longer before a new one came was not replaced by it. */
const REPLACED_WITHIN_MS = 3 * DAY_MS
/** What the own addresses do less than their share may have moved to the new ones, and this much more. */
const REPLACED_FACTOR = 1.25
/** The least part of the usual work that is worth an alert. */
const ADDED_SHARE_MIN = 0.25
/** So much of the usual work the own addresses must go on to do. */
const OWN_SHARE_MIN = 0.8
/** Own addresses that do more than this say that what is taken for usual is not: the key grows, or its week has changed. */
const OWN_SHARE_MAX = 1.25
/** Days differ by so much whatever the hours say: variance of the level over its square. */
const LEVEL_SPREAD = 0.02
const STARTS_MAX = 12
/** The spans of SOURCE_SPANS_MS that are tested; the longest tells the usual shares. */
const TESTED_SPANS = [0, 1]
const SHARE_SPAN = 2

/**
 * The strongest excess of new addresses in what has been learnt. Of a thief who adds little, totals say nothing; that
 * no address of the key has gone since his came says that they took nobody's place.
 */
export function sourceExcess(profile: Profile, thresholds: SourceThresholds): SourceExcess | undefined {
  const remembered = excesses.get(profile.sources) ?? []
  const known = remembered.find((one) => isSame(one.thresholds, thresholds))
  if (known !== undefined) return known.excess
  const excess = strongestExcess(profile, thresholds)
  excesses.set(profile.sources, [{ thresholds, excess }, ...remembered.slice(0, QUESTIONS_KEPT - 1)])
  return excess
}

function isSame(a: SourceThresholds, b: SourceThresholds): boolean {
  return a.logRatio === b.logRatio && a.minRequests === b.minRequests && a.knownFromMs === b.knownFromMs
}

/** Remembered per habit: it changes once an hour. */
const excesses = keptWith<
  Profile['sources'],
  readonly { readonly thresholds: SourceThresholds; readonly excess: SourceExcess | undefined }[]
>()
/** An alert is opened by some thresholds and held open by others. */
const QUESTIONS_KEPT = 3

function strongestExcess(profile: Profile, thresholds: SourceThresholds): SourceExcess | undefined {
  const { addresses } = profile.sources
  if (addresses.length < 2 || addresses.length >= ADDRESSES_MAX) return undefined
  const newFromMs = Math.max(thresholds.knownFromMs, profile.learnedUntilMs - NEW_FOR_MS)
  const starts = addresses.map(({ firstMs }) => firstMs).filter((firstMs) => firstMs >= newFromMs)
  let strongest: SourceExcess | undefined
  for (const sinceMs of [...new Set(starts)].toSorted((a, b) => b - a).slice(0, STARTS_MAX)) {
    for (const span of TESTED_SPANS) {
      const excess = excessSince(profile, { sinceMs, span, minRequests: thresholds.minRequests })
      if (excess === undefined || excess.logRatio < thresholds.logRatio) continue
      if (strongest === undefined || excess.logRatio > strongest.logRatio) strongest = excess
    }
  }
  return strongest
}

/** The addresses of the recent usage that are not the key's own; undefined where addresses mean nothing. */
export function freshAddresses(
  profile: Profile,
  usage: KeyUsage,
  nowMs: number,
): ReadonlySet<string> | undefined {
  const { addresses } = profile.sources
  if (addresses.length === 0 || addresses.length >= ADDRESSES_MAX) return undefined
  const older = addresses.filter(({ firstMs }) => firstMs < nowMs - DAY_MS)
  if (older.length === 0) return undefined
  // A key that is used now and then may have no address that it used twice: then each that it used before is its own.
  const twice = older.filter((entry) => isOwnAddress(entry, nowMs))
  const own = new Set((twice.length > 0 ? twice : older).map(({ address }) => address))
  return new Set(usage.sources.map(({ address }) => address).filter((address) => !own.has(address)))
}

/** Undefined when the addresses since then add less than `minRequests`, or the own ones do not go on as usual. */
function excessSince(
  profile: Profile,
  { sinceMs, span, minRequests }: { sinceMs: number; span: number; minRequests: number },
): SourceExcess | undefined {
  const { sources, learnedUntilMs } = profile
  const spanMs = SOURCE_SPANS_MS[span] ?? HOUR_MS
  const now = ({ made, fadedToMs }: KnownAddress): number => fadedSum(made, span, learnedUntilMs - fadedToMs)
  const added = sources.addresses.filter(({ firstMs }) => firstMs >= sinceMs)
  const made = added.reduce((sum, entry) => sum + now(entry), 0)
  const usual = sources.usual[span] ?? 0
  const byOwn = Math.max(0, (sources.made[span] ?? 0) - made)
  const goesOn = byOwn >= OWN_SHARE_MIN * usual && byOwn <= OWN_SHARE_MAX * usual
  if (!goesOn || made < Math.max(minRequests, ADDED_SHARE_MIN * usual)) return undefined
  const own = sources.addresses.filter(({ firstMs }) => firstMs < sinceMs)
  const missing = missingWork(own, { learnedUntilMs, sinceMs, span, usual })
  const unexplained = made - REPLACED_FACTOR * missing
  if (unexplained < Math.max(minRequests, ADDED_SHARE_MIN * usual)) return undefined
  return {
    spanMs,
    sinceMs,
    addresses: added.map(({ address }) => address),
    made,
    added: unexplained,
    byOwn,
    usual,
    logRatio: logRatioOf(byOwn, { usual, lost: unexplained, spread: spreadOfSum(profile, span) }),
  }
}

/** What the own addresses did less than their shares, each by itself: one that does more makes good for no other. */
function missingWork(
  own: readonly KnownAddress[],
  {
    learnedUntilMs,
    sinceMs,
    span,
    usual,
  }: { learnedUntilMs: number; sinceMs: number; span: number; usual: number },
): number {
  const recent = own.filter(({ lastMs }) => lastMs > sinceMs - REPLACED_WITHIN_MS)
  const sums = recent.map(({ made, fadedToMs }) => ({
    share: fadedSum(made, SHARE_SPAN, learnedUntilMs - fadedToMs),
    lately: fadedSum(made, span, learnedUntilMs - fadedToMs),
  }))
  const total = sums.reduce((sum, { share }) => sum + share, 0)
  if (total <= 0) return usual
  const missing = sums.reduce(
    (sum, { share, lately }) => sum + Math.max(0, (share / total) * usual - lately),
    0,
  )
  // The share of an address that has gone fades meanwhile: what it was is more.
  return missing * 2 ** ((learnedUntilMs - sinceMs) / SOURCE_SPANS_MS[SHARE_SPAN])
}

/** Variance over squared mean of a faded sum, above Poisson: hours vary on their own, the level of the day as one. */
function spreadOfSum(profile: Profile, span: number): number {
  const usual = profile.sources.usual[span] ?? 0
  const squares = profile.sources.usualSquares[span] ?? 0
  const hours = squares > 0 ? (usual * usual) / squares : 1
  return LEVEL_SPREAD + spreadOf(profile) / Math.max(1, hours)
}

/** ln of the likelihoods of the own volume at its usual mean and at that less what was lost, both normal; more than usual is usual. */
function logRatioOf(
  byOwn: number,
  { usual, lost, spread }: { readonly usual: number; readonly lost: number; readonly spread: number },
): number {
  if (lost <= 0 || usual <= 0) return 0
  const left = Math.max(0, usual - lost)
  const count = Math.min(byOwn, usual)
  const variance = (mean: number): number => Math.max(1, mean) + spread * mean * mean
  const logDensity = (mean: number): number =>
    -((count - mean) ** 2) / (2 * variance(mean)) - Math.log(variance(mean)) / 2
  return logDensity(usual) - logDensity(left)
}
