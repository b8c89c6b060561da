import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { digestOf } from '../usage/usage-digest.ts'
import { keptWith } from './kept-with.ts'
import { isKnownTravel, type FarPair } from './known-travel.ts'
import {
  AIRLINER_KMH,
  distanceKm,
  isEverywhere,
  pairOf,
  placed,
  speedKmh,
  usesOf,
  TRAVEL_REACH_MS,
  type Coordinates,
  type KnownPair,
  type PlaceHabit,
  type PlacedSource,
  type PlaceUse,
} from './places.ts'
import type { Profile } from './profile.ts'
import { firstUsesOf, isOwnAddress, NEW_FOR_MS } from './source-habit.ts'

/** Use at two places between which nobody can have travelled, for the first time. */
export interface Trip {
  /** The place that was in use before. */
  readonly home: Coordinates & { readonly name: string }
  /** The place that was used while the key was at home. */
  readonly away: PlaceUse
  readonly km: number
  readonly speedKmh: number
  /** True when the key was used at home again after it had been used away: it was at both, and did not move. */
  readonly returned: boolean
  readonly seenMs: number
}

export interface TripThresholds {
  readonly maxSpeedKmh: number
  readonly minDistanceKm: number
  /** Pairs that were met before were met while the key was being learnt. */
  readonly knownFromMs: number
}

/** A pair of places stays news for so long, then it is a habit. */
export const PAIR_NEWS_MS = 6 * HOUR_MS

interface Sight {
  readonly place: string
  readonly atMs: number
}

/**
 * True when there is no new trip, and none later as long as no address comes that is not in the usage: nearly always a key
 * stays where it is, or only its own addresses are in use. False says nothing.
 */
export function isWithoutTrips(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  thresholds: TripThresholds,
): boolean {
  const known = profile.places
  const mayBeNew = ({ km, met }: FarPair): boolean =>
    km >= thresholds.minDistanceKm && isNews(met, { ...thresholds, nowMs })
  return (
    known.places.length === 0 ||
    isEverywhere(known) ||
    !isAnyStrange(profile, usage, nowMs) ||
    isKnownTravel(digestOf(usage, nowMs).coordinates, known, mayBeNew)
  )
}

/** The impossible trips of the last hours that are new to the key, those with a return first, then the longest. */
export function newTrips(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  thresholds: TripThresholds,
): Trip[] {
  if (isWithoutTrips({ usage, profile, nowMs }, thresholds)) return []
  const known = profile.places
  const own = ownAddresses(profile, nowMs)
  const sources = placed(usage.sources, known.places)
  const uses = usesOf(sources)
  const inUse = new Set(uses.map(({ name }) => name))
  const homes = [...uses, ...known.places.filter(({ name }) => !inUse.has(name))].filter(
    ({ lastMs }) => lastMs >= nowMs - TRAVEL_REACH_MS,
  )
  const trips: Trip[] = []
  for (const away of uses) {
    if (away.addresses.every((address) => own.has(address))) continue
    for (const home of homes) {
      const km = distanceKm(home, away)
      if (home.name === away.name || km < thresholds.minDistanceKm) continue
      if (!isNewPair(known.pairs, pairOf(home.name, away.name), { ...thresholds, nowMs })) continue
      const sights = sightsOf(sources, profile, [home.name, away.name])
      const isHomeOlder = firstMsOf(known, home.name) < firstMsOf(known, away.name)
      const trip = tripBetween(sights, { home, away, km, isHomeOlder }, thresholds)
      if (trip !== undefined) trips.push(trip)
    }
  }
  return trips.toSorted(
    (a, b) => Number(b.returned) - Number(a.returned) || b.km - a.km || (a.away.name < b.away.name ? -1 : 1),
  )
}

/** New pairs a day of this key by habit; those that are still news are not habit yet. */
export function newPairRate(profile: Profile, nowMs: number): number {
  const { met, days } = newPairsMet(profile, nowMs)
  return met / Math.max(days, 1)
}

/** The new pairs that the key met after its first day, and the days since. */
export function newPairsMet(
  profile: Profile,
  nowMs: number,
): { readonly met: number; readonly days: number } {
  const settledMs = profile.firstSeenMs + DAY_MS
  const days = (nowMs - settledMs) / DAY_MS
  let met = 0
  for (const { firstMs, slow } of profile.places.pairs)
    if (slow !== true && firstMs >= settledMs && firstMs < nowMs - PAIR_NEWS_MS) met += 1
  return { met, days }
}

/** True when an address is in use that is none of `ownAddresses`. */
function isAnyStrange({ sources }: Profile, usage: KeyUsage, nowMs: number): boolean {
  const firstUses = firstUsesOf(sources)
  const isOwn = (address: string): boolean => (firstUses.get(address) ?? Infinity) < nowMs - NEW_FOR_MS
  const { addresses } = digestOf(usage, nowMs)
  // What is the key's own stays so, and the same list is asked about at tick after tick.
  const last = allOwn.get(sources)
  if (last !== undefined && last.addresses === addresses && last.nowMs <= nowMs) return false
  if (addresses?.every(isOwn) === true) {
    allOwn.set(sources, { addresses, nowMs })
    return false
  }
  return !usage.sources.every(({ address }) => isOwn(address))
}

/** The list of addresses that were all the key's own, when it was last asked about. */
const allOwn = keptWith<
  Profile['sources'],
  { readonly addresses: readonly string[]; readonly nowMs: number }
>()

/** The addresses that are the key's own, wherever a place database says that they are. */
function ownAddresses({ sources }: Profile, nowMs: number): Set<string> {
  return new Set(
    sources.addresses.filter((entry) => isOwnAddress(entry, nowMs)).map(({ address }) => address),
  )
}

function isNewPair(
  pairs: readonly KnownPair[],
  { from, to }: Omit<KnownPair, 'firstMs'>,
  { knownFromMs, maxSpeedKmh, nowMs }: TripThresholds & { readonly nowMs: number },
): boolean {
  const met = pairs.find((pair) => pair.from === from && pair.to === to)
  return isNews(met, { knownFromMs, maxSpeedKmh, nowMs })
}

function isNews(
  met: KnownPair | undefined,
  {
    knownFromMs,
    maxSpeedKmh,
    nowMs,
  }: Pick<TripThresholds, 'knownFromMs' | 'maxSpeedKmh'> & { readonly nowMs: number },
): boolean {
  if (met === undefined || (met.slow === true && maxSpeedKmh >= AIRLINER_KMH)) return true
  return met.firstMs >= knownFromMs && nowMs - met.firstMs < PAIR_NEWS_MS
}

/** When the place was first used; Infinity for one that is not known. */
function firstMsOf({ places }: PlaceHabit, placeName: string): number {
  return places.find(({ name }) => name === placeName)?.firstMs ?? Infinity
}

function tripBetween(
  sights: readonly Sight[],
  {
    home,
    away,
    km,
    isHomeOlder,
  }: {
    readonly home: Trip['home']
    readonly away: PlaceUse
    readonly km: number
    readonly isHomeOlder: boolean
  },
  { maxSpeedKmh }: TripThresholds,
): Trip | undefined {
  let legs = 0
  let fastest = 0
  let seenMs = away.firstMs
  for (const [index, sight] of sights.entries()) {
    const before = sights[index - 1]
    if (before === undefined || before.place === sight.place) continue
    const speed = speedKmh(km, sight.atMs - before.atMs)
    // Coming home too fast is a trip as well, if it is clear which of the two is home.
    if (speed <= maxSpeedKmh || (legs === 0 && sight.place !== away.name && !isHomeOlder)) continue
    if (legs === 0) seenMs = sight.atMs
    legs += 1
    fastest = Math.max(fastest, speed)
  }
  return legs === 0 ? undefined : { home, away, km, speedKmh: fastest, returned: legs > 1, seenMs }
}

/** When two places were seen in use: in the profile last, and in each bucket of the recent usage first and last. */
function sightsOf(sources: readonly PlacedSource[], { places }: Profile, names: readonly string[]): Sight[] {
  const sights: Sight[] = []
  for (const { name, lastMs } of places.places)
    if (names.includes(name)) sights.push({ place: name, atMs: lastMs })
  for (const { source, place } of sources) {
    if (!names.includes(place.name)) continue
    sights.push({ place: place.name, atMs: source.firstMs }, { place: place.name, atMs: source.lastMs })
  }
  return sights.toSorted((a, b) => a.atMs - b.atMs || (a.place < b.place ? -1 : 1))
}
