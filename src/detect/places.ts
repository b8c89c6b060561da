import { HOUR_MS, DAY_MS } from '../usage/duration.ts'
import type { SourceUsage } from '../usage/source.ts'

/** Where a key is used from, and between which of these places nobody travels and the key is still at home in both. */
export interface PlaceHabit {
  /** At most PLACES_MAX, in order of first sight; the one unseen for longest is forgotten first. */
  readonly places: readonly KnownPlace[]
  /** At most PAIRS_MAX, the oldest: two sites, a VPN and its user, a gateway with two exits. */
  readonly pairs: readonly KnownPair[]
}

export interface KnownPlace extends Coordinates {
  /** Country and whole degrees of the first address that was seen there: names the place. */
  readonly name: string
  readonly firstMs: number
  readonly lastMs: number
}

/** Two places that were in use with too little time between them to travel. */
export interface KnownPair {
  /** Names of the places, in order of the text. */
  readonly from: string
  readonly to: string
  readonly firstMs: number
  /** Set while somebody could have flown from one to the other each time: a journey, not use at both at once. */
  readonly slow?: true
}

export interface Coordinates {
  readonly latitude: number
  readonly longitude: number
}

/** The use of one place in some usage. */
export interface PlaceUse extends Coordinates {
  readonly name: string
  readonly country: string | undefined
  readonly addresses: readonly string[]
  /** Successful requests. */
  readonly made: number
  readonly costNanoUsd: number
  readonly firstMs: number
  readonly lastMs: number
}

export const NO_PLACES: PlaceHabit = { places: [], pairs: [] }

/** Addresses of one town are placed all over it and its surroundings by place databases. */
const SAME_PLACE_KM = 200
/** A key that is used from more places than this is used from everywhere. */
export const PLACES_MAX = 24
/** And so is a key that is in use at more pairs of far places than this: which pair is new says nothing any more. */
const PAIRS_MAX = 60
/** Learnt at less than any speed that is alerted: what is learnt may be more than would be raised, never less. */
const LEARNT_SPEED_KMH = 300
/** An airliner with a tail wind: what is faster was no journey. */
export const AIRLINER_KMH = 1000
/** How far back the other end of a pair is looked for: nobody is long on the way at these speeds. */
export const TRAVEL_REACH_MS = DAY_MS
const EARTH_DIAMETER_KM = 12_742

/** Great-circle distance in km by the haversine formula (Sinnott, Sky and Telescope 68, 1984). */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const radians = Math.PI / 180
  const h =
    Math.sin(((b.latitude - a.latitude) * radians) / 2) ** 2 +
    Math.cos(a.latitude * radians) *
      Math.cos(b.latitude * radians) *
      Math.sin(((b.longitude - a.longitude) * radians) / 2) ** 2
  return EARTH_DIAMETER_KM * Math.asin(Math.sqrt(Math.min(1, h)))
}

/** True for coordinates that are taken for the same place. */
export function isSamePlace(a: Coordinates, b: Coordinates): boolean {
  return distanceKm(a, b) <= SAME_PLACE_KM
}

/** The speed in km/h at which somebody would have travelled; Infinity when there was no time at all. */
export function speedKmh(km: number, ms: number): number {
  return ms <= 0 ? Infinity : km / (ms / HOUR_MS)
}

/** The name of the pair's places in order of the text, so that there and back is one pair. */
export function pairOf(a: string, b: string): { readonly from: string; readonly to: string } {
  return a < b ? { from: a, to: b } : { from: b, to: a }
}

export interface PlacedSource {
  readonly source: SourceUsage
  readonly place: Coordinates & { readonly name: string }
}

/**
 * The sources with successful requests, each with its place: a known one within SAME_PLACE_KM, else one that is named
 * after the first address there. Sources without coordinates are left out: unknown is not far away.
 */
export function placed(sources: readonly SourceUsage[], known: readonly KnownPlace[]): PlacedSource[] {
  const places: PlacedSource['place'][] = [...known]
  const byAddress = new Map<string, PlacedSource['place']>()
  const all: PlacedSource[] = []
  // By time, then address: which one names a new place must not hang on the order of equal times.
  for (const source of isByFirstUse(sources) ? sources : sources.toSorted(byFirstUse)) {
    const at = coordinates(source)
    if (at === undefined || source.requests <= source.refused) continue
    let place = byAddress.get(source.address) ?? places.find((candidate) => isSamePlace(candidate, at))
    if (place === undefined) {
      place = { ...at, name: nameOf(source.country, at) }
      places.push(place)
    }
    byAddress.set(source.address, place)
    all.push({ source, place })
  }
  return all
}

/** As stores give them: nearly always there is nothing to sort. */
function isByFirstUse(sources: readonly SourceUsage[]): boolean {
  let before: SourceUsage | undefined
  for (const source of sources) {
    if (before !== undefined && byFirstUse(before, source) > 0) return false
    before = source
  }
  return true
}

/** Successful use by place, in order of name. */
export function usesOf(sources: readonly PlacedSource[]): PlaceUse[] {
  const uses = new Map<string, Writable<PlaceUse> & { readonly addresses: string[] }>()
  for (const { source, place } of sources) {
    const { address, country, requests, refused, costNanoUsd, firstMs, lastMs } = source
    const use = uses.get(place.name)
    if (use === undefined) {
      const { name, latitude, longitude } = place
      const made = requests - refused
      uses.set(name, {
        name,
        latitude,
        longitude,
        country,
        addresses: [address],
        made,
        costNanoUsd,
        firstMs,
        lastMs,
      })
      continue
    }
    use.latitude = place.latitude
    use.longitude = place.longitude
    use.country ??= country
    // Most repeat the last one.
    if (use.addresses.at(-1) !== address && !use.addresses.includes(address)) use.addresses.push(address)
    use.made += requests - refused
    use.costNanoUsd += costNanoUsd
    if (firstMs < use.firstMs) use.firstMs = firstMs
    if (lastMs > use.lastMs) use.lastMs = lastMs
  }
  const all = [...uses.values()]
  return all.length > 1 ? all.toSorted((a, b) => (a.name < b.name ? -1 : 1)) : all
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] }

/** The habit after the sources of one closed hour. */
export function withPlaces(habit: PlaceHabit, sources: readonly SourceUsage[]): PlaceHabit {
  const uses = usesOf(placed(sources, habit.places))
  if (uses.length === 0) return habit
  const learnt = new Map<string, KnownPair>()
  for (const use of isEverywhere(habit) ? [] : uses) {
    const others = [...uses, ...habit.places.filter(({ lastMs }) => lastMs > use.firstMs - TRAVEL_REACH_MS)]
    for (const other of others) {
      const km = distanceKm(use, other)
      if (other.name === use.name || km <= SAME_PLACE_KM) continue
      const speed = speedKmh(km, pauseBetween(use, other))
      if (speed < LEARNT_SPEED_KMH) continue
      const pair = { ...pairOf(use.name, other.name), firstMs: use.firstMs }
      learnPair(learnt, habit.pairs, { pair, slow: speed <= AIRLINER_KMH })
    }
  }
  return {
    places: withUses(habit.places, uses),
    pairs: withPairs(habit.pairs, learnt),
  }
}

/** A pair that was only flown between becomes new again with the first use at both at once. */
function learnPair(
  learnt: Map<string, KnownPair>,
  known: readonly KnownPair[],
  { pair, slow }: { readonly pair: KnownPair; readonly slow: boolean },
): void {
  const isIt = ({ from, to }: KnownPair): boolean => from === pair.from && to === pair.to
  const before = (learnt.size === 0 ? undefined : learnt.get(pairKey(pair))) ?? known.find(isIt)
  if (before !== undefined && (before.slow !== true || slow)) return
  learnt.set(pairKey(pair), slow ? { ...pair, slow } : pair)
}

function withPairs(
  known: readonly KnownPair[],
  learnt: ReadonlyMap<string, KnownPair>,
): readonly KnownPair[] {
  if (learnt.size === 0) return known
  const pairs = new Map(known.map((pair) => [pairKey(pair), pair]))
  for (const [key, pair] of learnt) pairs.set(key, pair)
  return [...pairs.values()].slice(0, PAIRS_MAX)
}

/** True for a key that has no place to be away from: people all over the world, or an egress that is. */
export function isEverywhere({ places, pairs }: PlaceHabit): boolean {
  return places.length >= PLACES_MAX || pairs.length >= PAIRS_MAX
}

/** Milliseconds between two spans of use; 0 when they touch. */
export function pauseBetween(
  a: { readonly firstMs: number; readonly lastMs: number },
  b: { readonly firstMs: number; readonly lastMs: number },
): number {
  return Math.max(0, a.firstMs - b.lastMs, b.firstMs - a.lastMs)
}

function withUses(known: readonly KnownPlace[], uses: readonly PlaceUse[]): readonly KnownPlace[] {
  const isOld = ({ name }: PlaceUse): boolean => known.some((place) => place.name === name)
  // Nearly always a key is where it was.
  if (uses.every(isOld)) return known.map((place) => seenAgain(place, uses))
  const places = new Map(known.map((place) => [place.name, place]))
  for (const { name, latitude, longitude, firstMs, lastMs } of uses) {
    const before = places.get(name)
    places.set(name, {
      name,
      latitude,
      longitude,
      firstMs: before?.firstMs ?? firstMs,
      lastMs: Math.max(before?.lastMs ?? -Infinity, lastMs),
    })
  }
  if (places.size <= PLACES_MAX) return [...places.values()]
  const all = [...places.values()]
  const kept = new Set(
    all.toSorted((a, b) => b.lastMs - a.lastMs || (a.name < b.name ? -1 : 1)).slice(0, PLACES_MAX),
  )
  return all.filter((place) => kept.has(place))
}

function seenAgain(place: KnownPlace, uses: readonly PlaceUse[]): KnownPlace {
  const use = uses.find(({ name }) => name === place.name)
  if (use === undefined) return place
  const { name, latitude, longitude, lastMs } = use
  return { name, latitude, longitude, firstMs: place.firstMs, lastMs: Math.max(place.lastMs, lastMs) }
}

function pairKey({ from, to }: Omit<KnownPair, 'firstMs'>): string {
  return `${from}|${to}`
}

function coordinates({ latitude, longitude }: SourceUsage): Coordinates | undefined {
  return latitude === undefined || longitude === undefined ? undefined : { latitude, longitude }
}

function nameOf(country: string | undefined, { latitude, longitude }: Coordinates): string {
  return `${country ?? '??'} ${latitude.toFixed(1)} ${longitude.toFixed(1)}`
}

function byFirstUse(a: SourceUsage, b: SourceUsage): number {
  return a.bucketMs - b.bucketMs || (a.address < b.address ? -1 : 1)
}
