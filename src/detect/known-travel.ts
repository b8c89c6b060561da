import type { UsageDigest } from '../usage/usage-digest.ts'
import { keptWith } from './kept-with.ts'
import { distanceKm, isSamePlace, pairOf, type KnownPair, type PlaceHabit } from './places.ts'

/** Two known places, and what is known of their use together. */
export interface FarPair {
  readonly km: number
  readonly met: KnownPair | undefined
}

interface Travel {
  /** All pairs of known places; `bits` are those of both. */
  readonly pairs: readonly (FarPair & { readonly bits: number })[]
  /** The known place of coordinates that were asked for, as its bit; 0 for none. */
  readonly bits: Map<number, Map<number, number>>
}

/**
 * True when the usage is at known places only and each pair of them that is far apart is known and no news: then there
 * is no new trip, whatever the times. Cheap, because nearly every tick of nearly every key ends with it; false says
 * nothing.
 */
export function isKnownTravel(
  coordinates: UsageDigest['coordinates'],
  habit: PlaceHabit,
  mayBeNew: (pair: FarPair) => boolean,
): boolean {
  const travel = travelOf(habit)
  let used = 0
  if (coordinates === undefined) return false
  for (const at of coordinates) {
    const bit = placeBit(travel, habit, at)
    if (bit === 0) return false
    used |= bit
  }
  return !travel.pairs.some((pair) => (pair.bits & used) !== 0 && mayBeNew(pair))
}

/** Remembered per habit: it changes once an hour at the most. */
const travels = keptWith<PlaceHabit, Travel>()

function travelOf(habit: PlaceHabit): Travel {
  const known = travels.get(habit)
  if (known !== undefined) return known
  const pairs: (FarPair & { readonly bits: number })[] = []
  for (const [index, place] of habit.places.entries()) {
    for (const [before, other] of habit.places.slice(0, index).entries()) {
      const { from, to } = pairOf(place.name, other.name)
      const met = habit.pairs.find((pair) => pair.from === from && pair.to === to)
      pairs.push({
        bits: (1 << index) | (1 << before),
        km: distanceKm(place, other),
        met,
      })
    }
  }
  const travel = { pairs, bits: new Map<number, Map<number, number>>() }
  travels.set(habit, travel)
  return travel
}

function placeBit(
  { bits }: Travel,
  { places }: PlaceHabit,
  at: { readonly latitude: number; readonly longitude: number },
): number {
  let meridian = bits.get(at.latitude)
  if (meridian === undefined) {
    meridian = new Map()
    bits.set(at.latitude, meridian)
  }
  const known = meridian.get(at.longitude)
  if (known !== undefined) return known
  const index = places.findIndex((place) => isSamePlace(place, at))
  const bit = index < 0 ? 0 : 1 << index
  meridian.set(at.longitude, bit)
  return bit
}
