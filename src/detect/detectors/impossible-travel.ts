import { z } from 'zod'
import { RECENT_USAGE_MS } from '../../usage/key-usage.ts'
import { CALM, calmUnlessKnown } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import {
  isWithoutTrips,
  newPairRate,
  newPairsMet,
  newTrips,
  type Trip,
  type TripThresholds,
} from '../impossible-trips.ts'
import { historyOf, isLearning, type Profile } from '../profile.ts'
import { habitRate, scoreOfRate } from '../score.ts'
import { keysAtHome, tripProof, type TripProof } from '../trip-evidence.ts'
import { grouped } from '../sentence.ts'
import { budgetedSettings, learningSettings, severityOf } from '../settings.ts'
import { check } from '../trace.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'

const settings = z.strictObject({
  ...budgetedSettings(),
  max_speed_kmh: z
    .number()
    .min(300)
    .default(1000)
    .describe('Faster than this nobody travels: 1000 km/h is an airliner with a tail wind.'),
  min_distance_km: z
    .number()
    .min(200)
    .default(500)
    .describe('Places nearer than this are not told apart: place databases are often off by so much.'),
  max_new_per_day: z
    .number()
    .min(0)
    .default(0.25)
    .describe('A key that by habit is in use at more new pairs of far places a day than this is not judged.'),
  ...learningSettings({ history: '3d', events: 20 }),
})

export const impossibleTravel = defineDetector({
  name: 'impossible_travel',
  description:
    'Use at two places, too soon after one another for any traveller, that were never in use together.',
  settings,
  detect: (detection, trace) => {
    const { profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    const newPerDay = newPairRate(profile, nowMs)
    const isStrange = check(trace, newPerDay <= chosen.max_new_per_day, () => ({
      kind: 'unusual',
      what: 'new pairs of places a day by habit',
      observed: Number(newPerDay.toPrecision(2)),
      needed: `at most ${chosen.max_new_per_day}`,
      setting: `detectors.impossible_travel.max_new_per_day: ${chosen.max_new_per_day}`,
    }))
    if (!isStrange) return []
    const trips = newTrips(detection, thresholdsOf(detection)).map((candidate) => ({
      ...candidate,
      proof: tripProof(detection, candidate),
    }))
    const trip = trips.find(({ proof }) => proof !== undefined) ?? trips[0]
    const isNew = check(trace, trip !== undefined, () => ({
      kind: 'unusual',
      what: 'a trip between places that were never in use together, in km/h',
      observed: trip === undefined ? null : shownSpeed(trip),
      needed: `more than ${chosen.max_speed_kmh} over ${chosen.min_distance_km} km or more`,
      setting: `detectors.impossible_travel.max_speed_kmh: ${chosen.max_speed_kmh}`,
    }))
    return isNew && trip !== undefined ? [findingOf(detection, trip, newPerDay)] : []
  },
  calm: (detection) =>
    calmUnlessKnown(detection, () => (isWithoutTrips(detection, thresholdsOf(detection)) ? CALM : undefined)),
})

function thresholdsOf({ profile, settings: chosen }: Detection<z.output<typeof settings>>): TripThresholds {
  return {
    maxSpeedKmh: chosen.max_speed_kmh,
    minDistanceKm: chosen.min_distance_km,
    knownFromMs: profile.firstSeenMs + chosen.min_history,
  }
}

function findingOf(
  { usage, profile, sites, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  trip: Trip & { readonly proof: TripProof | undefined },
  newPerDay: number,
): Finding {
  const { home, away, km } = trip
  const { keyId } = usage.key
  const how = HOW[trip.proof ?? 'none']
  return {
    detector: 'impossible_travel',
    keyId,
    scope: '',
    // What may be a move of the key, with its work, is odd and no more.
    severity: severityOf(chosen, trip.proof === undefined ? 'info' : 'warning'),
    score: scoreOf(profile, trip, nowMs),
    summary:
      `${keyId} was used in ${home.name} and in ${away.name}, ${grouped(km)} km apart, ` +
      `too soon for any traveller (${shownSpeed(trip)} km/h), ${how}`,
    evidence: {
      metric: 'speed_kmh',
      observed: shownSpeed(trip),
      expected: { at_most: chosen.max_speed_kmh },
      window: {
        start: new Date(nowMs - RECENT_USAGE_MS).toISOString(),
        end: new Date(nowMs).toISOString(),
      },
      history: historyOf(profile, nowMs),
      setting: `detectors.impossible_travel.max_speed_kmh: ${chosen.max_speed_kmh}`,
      from: home.name,
      to: away.name,
      distance_km: Math.round(km),
      returned: trip.returned,
      proof: trip.proof ?? null,
      keys_at_home_there: keysAtHome(sites, trip) ?? null,
      first_seen: new Date(trip.seenMs).toISOString(),
      addresses: away.addresses.slice(0, ADDRESSES_SHOWN),
      requests: away.made,
      cost_usd: Number((away.costNanoUsd / NANO_USD_PER_USD).toPrecision(6)),
      known_pairs: profile.places.pairs.length,
      new_per_day: Number(newPerDay.toPrecision(2)),
    },
  }
}

/** What the summary says of the trip. */
const HOW = {
  returned: 'and back',
  abroad: 'from one country to another',
  outnumbers: 'and more than it makes in all',
  beside: 'while its own addresses went on',
  none: 'which may be a move',
} as const satisfies Record<TripProof | 'none', string>

/** Of the new pairs of far places that a key meets, so many look like use at both at once. */
const PROVEN_SHARE = 0.2

function scoreOf(
  profile: Profile,
  { proof }: { readonly proof: TripProof | undefined },
  nowMs: number,
): number {
  const { met, days } = newPairsMet(profile, nowMs)
  return scoreOfRate(habitRate(met, days) * (proof === undefined ? 1 : PROVEN_SHARE))
}

const ADDRESSES_SHOWN = 5
/** What touches in time has no speed; more than this says nothing more. */
const SPEED_SHOWN_MAX = 100_000

function shownSpeed({ speedKmh }: Trip): number {
  return Math.round(Math.min(SPEED_SHOWN_MAX, speedKmh))
}
