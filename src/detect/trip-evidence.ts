import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../usage/key-usage.ts'
import { bucketStart } from '../usage/rollup.ts'
import { expectedVolume } from './expected-volume.ts'
import type { Trip } from './impossible-trips.ts'
import { mostAtOnce } from './joined-addresses.ts'
import { isSamePlace } from './places.ts'
import { presenceOf, SERVICE_HOURS } from './presence.ts'
import type { Site } from './prior.ts'
import type { Profile } from './profile.ts'
import { ADDRESSES_MAX, faded, newAddressRate } from './source-habit.ts'
import { logOverdispersedTail, logPoissonTail } from './statistics.ts'

/** Why a trip is more than odd. */
export type TripProof =
  /** It crosses a border: no address that is assigned anew, and no error of a place database, is so far off. */
  | 'abroad'
  /** The key was used at home again after it had been used away. */
  | 'returned'
  /** More was made away than the key makes in all. */
  | 'outnumbers'
  /** The key was never used there, and its own addresses go on at home. */
  | 'beside'

interface Known {
  readonly usage: KeyUsage
  readonly profile: Profile
  readonly sites?: readonly Site[] | undefined
  readonly nowMs: number
}

/** ln of the chance that all of the key's work, had it moved, is so much. */
const OUTNUMBERS_LOG_CHANCE = Math.log(0.01)
const OUTNUMBERS_MIN = 3
/** ln of the chance that an address which took another's place made so many requests. */
const REPLACED_LOG_CHANCE = Math.log(0.05)
/** What silent addresses would have made since, with a margin, and what a new one makes by the way. */
const REPLACED_FACTOR = 1.25
const REPLACED_REQUESTS = 0.3
/** A key that meets more new addresses a day changes them by habit. */
const NEW_PER_DAY_MAX = 0.1
/** An address that was unseen for longer when the others were still in use had gone before. */
const GONE_AFTER_MS = 12 * HOUR_MS
const SHARE_SPAN = 2

/**
 * What makes the trip more than odd; undefined when nothing does. A trip abroad is, unless it is that of a service to
 * where other keys of the fleet are at home: then it may be a move, until the key is used at both places. Within one
 * country less is certain: place databases err, and an address that is assigned anew may be said to be anywhere in it.
 * There the place must be new and the key's own addresses go on, or the key must be used at both places, and must either
 * keep its addresses by habit, or make more at the new place than an address of the key that has fallen silent since would
 * have made.
 */
export function tripProof(known: Known, trip: Trip): TripProof | undefined {
  if (!isWithinCountry(trip) && trip.returned) return 'returned'
  if (!isWithinCountry(trip) && !mayBeMoved(known, trip)) return 'abroad'
  if (outnumbers(known, trip)) return 'outnumbers'
  if (trip.returned && (keepsAddresses(known) || !takesPlace(known, trip))) return 'returned'
  return isWithinCountry(trip) && isBeside(known, trip) ? 'beside' : undefined
}

/** True for a service that is used where its owner works already, which may have been moved there. */
function mayBeMoved({ profile, sites }: Known, trip: Trip): boolean {
  return (keysAtHome(sites, trip) ?? 0) > 0 && presenceOf(profile.week).hoursPerDay >= SERVICE_HOURS
}

/**
 * How many keys of the fleet are at home where the trip leads: services are moved to where their owner works already.
 * Undefined while that is unknown.
 */
export function keysAtHome(
  sites: readonly Site[] | undefined,
  { away }: Pick<Trip, 'away'>,
): number | undefined {
  return sites === undefined ? undefined : (sites.find((site) => isSamePlace(site, away))?.keys ?? 0)
}

function isWithinCountry({ home, away }: Trip): boolean {
  return countryOf(home.name) === countryOf(away.name)
}

/** The country in a place's name: `US` of `US 33.1 -96.9`. */
function countryOf(name: string): string {
  return name.slice(0, name.indexOf(' '))
}

function outnumbers({ profile, nowMs }: Known, { away }: Trip): boolean {
  if (away.made < OUTNUMBERS_MIN) return false
  const { mean, size } = expectedVolume(profile, bucketStart(away.firstMs), bucketStart(nowMs) + MINUTE_MS)
  return logOverdispersedTail(away.made, mean, size) <= OUTNUMBERS_LOG_CHANCE
}

/** So much of the most addresses that were ever in use at once must be in use at home since, and two: one alone may travel. */
const BESIDE_SHARE = 0.5
const BESIDE_MIN = 2

/**
 * True when the place is new to the key, and so many of its own addresses were in use since it came that it took the place
 * of none: one that is assigned anew is near the one that it replaces, but for the odd one.
 */
function isBeside({ usage, profile, nowMs }: Known, { away }: Trip): boolean {
  const { sources, places } = profile
  if (sources.addresses.length >= ADDRESSES_MAX) return false
  const fromMs = nowMs - RECENT_USAGE_MS
  if (places.places.some(({ name, firstMs }) => name === away.name && firstMs < fromMs)) return false
  const older = new Set(
    sources.addresses.filter(({ firstMs }) => firstMs < away.firstMs).map(({ address }) => address),
  )
  const beside = new Set(
    usage.sources
      .filter(({ lastMs, requests, refused }) => lastMs > away.firstMs && requests > refused)
      .filter(({ address }) => older.has(address) && !away.addresses.includes(address))
      .map(({ address }) => address),
  )
  const { atOnce } = mostAtOnce(sources, away.firstMs)
  return beside.size >= Math.max(BESIDE_MIN, BESIDE_SHARE * atOnce)
}

/** True for a key that hardly ever meets a new address: then one that is far away is no change of the egress either. */
function keepsAddresses({ profile, nowMs }: Known): boolean {
  return newAddressRate(profile.sources, { ...profile, nowMs }) < NEW_PER_DAY_MAX
}

/** True when the key's addresses that fell silent with the trip would have made about as much as was made away. */
function takesPlace({ usage, profile }: Known, { away }: Trip): boolean {
  const { sources } = profile
  if (sources.addresses.length >= ADDRESSES_MAX) return away.made < OUTNUMBERS_MIN
  const since = usage.sources.filter(({ lastMs }) => lastMs > away.firstMs)
  const seen = new Set(since.map(({ address }) => address))
  const before = sources.addresses.filter(({ firstMs }) => firstMs < away.firstMs)
  const latestMs = Math.max(...before.map(({ lastMs }) => lastMs))
  const own = before
    .filter(({ lastMs }) => lastMs > Math.min(latestMs, away.firstMs) - GONE_AFTER_MS)
    .map(({ address, made, fadedToMs }) => ({
      address,
      made: faded(made, away.firstMs - fadedToMs)[SHARE_SPAN] ?? 0,
    }))
  const total = own.reduce((sum, { made }) => sum + made, 0)
  if (total <= 0) return true
  const silent = own.reduce((sum, { address, made }) => (seen.has(address) ? sum : sum + made), 0)
  const made = since.reduce((sum, source) => sum + source.requests - source.refused, 0)
  const missing = (silent / total) * made
  return logPoissonTail(away.made, REPLACED_FACTOR * missing + REPLACED_REQUESTS) > REPLACED_LOG_CHANCE
}
