import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { HOURS_OF_WEEK } from '../usage/hour-of-week.ts'
import { bucketStart } from '../usage/rollup.ts'
import { NO_PLACES, type PlaceHabit } from './places.ts'
import { NO_SOURCES, type SourceHabit } from './source-habit.ts'
import { NO_ADDRESSES, type AddressHabit } from './address-habit.ts'
import { asSpans, type Spans, type StoredSpans } from './ledger-spans.ts'
import { NO_REFUSALS, type RefusalHabit } from './refusal-habit.ts'
import { NO_SURPRISES, type Surprises } from './surprise-habit.ts'
import { NEVER_USED, type UseRecord } from './use-record.ts'

/** An hour is learnt this long after it has closed: gateways deliver late. What comes later is counted, never taught. */
export const LEARN_DELAY_MS = 5 * MINUTE_MS

/**
 * All that keyhound remembers of a key: plain JSON data, finite numbers only, a few kilobytes whatever its volume.
 * Habits (`week`, `volume`) are what is usual and fade; facts (the rest) are what happened.
 */
export interface Profile {
  readonly version: 1
  readonly keyId: string
  /** IANA zone of `week`'s slots. */
  readonly timeZone: string
  /** Start of the first hour in which the key was seen. */
  readonly firstSeenMs: number
  /** End of the last hour that was learnt. */
  readonly learnedUntilMs: number
  /** Requests learnt, refused ones included. */
  readonly events: number
  readonly week: WeekHabit
  readonly volume: VolumeHabit
  /** Countries with successful requests, in order of first sight. */
  readonly countries: readonly KnownValue[]
  /** Models with successful requests, in order of first sight. */
  readonly models: readonly KnownValue[]
  readonly places: PlaceHabit
  readonly sources: SourceHabit
  readonly ledger: Ledger
  readonly use: UseRecord
  readonly refusals: RefusalHabit
  readonly addresses: AddressHabit
  readonly surprises: Surprises
}

/** What is usual at each of the 168 hours of the week; slot 0 is Monday 00:00 in the profile's zone. */
export interface WeekHabit {
  /** How often each hour of the week has been taught. The weights of the sums below follow from it. */
  readonly taught: readonly number[]
  /** Successful requests: a sum in which each week counts RATE_DECAY_PER_WEEK of the week after it. */
  readonly requests: readonly number[]
  /** Hours with a successful request: a sum in which each week counts PRESENCE_DECAY_PER_WEEK of the week after it. */
  readonly active: readonly number[]
}

/** Two weeks' half-life: volumes follow how a key is used now. */
export const RATE_DECAY_PER_WEEK = 0.5 ** (1 / 2)
/** Eight weeks' half-life: when people sleep changes seldom, and rare hours need long memory. */
export const PRESENCE_DECAY_PER_WEEK = 0.5 ** (1 / 8)

/** How the volume strays from the habit of the week. Sums fade with VOLUME_HALF_LIFE_HOURS. */
export interface VolumeHabit {
  /** Sum of (requests - usual)^2 - requests, hour by hour: what is above chance alone. */
  readonly excess: number
  /** Sum of usual^2, hour by hour. `excess / squares` estimates 1/k of a negative binomial. */
  readonly squares: number
  /** Requests of about the last day, and what the week's habit would have made of it. */
  readonly recentRequests: number
  readonly recentUsual: number
  /** Fading maxima of an hour. */
  readonly peakRequests: number
  readonly peakTokens: number
  readonly peakCostNanoUsd: number
  /** Fading maximum of five minutes. */
  readonly peakFiveMinutes: number
  /** Fading maximum of an hour's mean, drawn towards the usual by SIZE_PRIOR_REQUESTS. */
  readonly peakTokensPerRequest: number
  /** Fading maximum of a minute's mean, of the cells of the cube: of a key that is used now and then its largest request. 0 while none is known. */
  readonly largestTokensPerRequest: number
  readonly tokens: PerRequest
  readonly costNanoUsd: PerRequest
}

/** The size of one request in some unit, from hourly sums. */
export interface PerRequest {
  /** Fading number of requests, of their sizes, of squares of (hour's mean - mean) times requests, and of hours. */
  readonly requests: number
  readonly sum: number
  readonly squares: number
  readonly hours: number
}

export interface KnownValue {
  readonly value: string
  /** Starts of the first and the last hour in which it was used. */
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly requests: number
  /** False while its first use goes on: it is still news (see novelty.ts). */
  readonly settled: boolean
}

/** What was used and spent, for rolling windows. */
export interface Ledger {
  /** The last LEDGER_HOURS hours, and those around the start of the month and of the week (see ledger.ts). */
  readonly hours: Spans
  /** The last LEDGER_DAYS days, UTC. */
  readonly days: Spans
}
export const LEDGER_HOURS = 48
export const LEDGER_DAYS = 35

/** The profile of a key that was first seen at `firstSeenMs` and of which nothing has been learnt. */
export function emptyProfile(key: {
  readonly keyId: string
  readonly firstSeenMs: number
  readonly timeZone: string
}): Profile {
  const firstHourMs = bucketStart(key.firstSeenMs, HOUR_MS)
  const noRequests: PerRequest = { requests: 0, sum: 0, squares: 0, hours: 0 }
  const zeros = Array<number>(HOURS_OF_WEEK).fill(0)
  return {
    version: 1,
    keyId: key.keyId,
    timeZone: key.timeZone,
    firstSeenMs: firstHourMs,
    learnedUntilMs: firstHourMs,
    events: 0,
    week: { taught: zeros, requests: zeros, active: zeros },
    volume: {
      excess: 0,
      squares: 0,
      recentRequests: 0,
      recentUsual: 0,
      peakRequests: 0,
      peakTokens: 0,
      peakCostNanoUsd: 0,
      peakFiveMinutes: 0,
      peakTokensPerRequest: 0,
      largestTokensPerRequest: 0,
      tokens: noRequests,
      costNanoUsd: noRequests,
    },
    countries: [],
    models: [],
    places: NO_PLACES,
    sources: NO_SOURCES,
    ledger: { hours: [], days: [] },
    use: NEVER_USED,
    refusals: NO_REFUSALS,
    addresses: NO_ADDRESSES,
    surprises: NO_SURPRISES,
  }
}

/** A profile as it was stored, perhaps by an earlier keyhound: what that did not know yet is not learnt yet. */
export function storedProfile(stored: StoredProfile): Profile {
  const { largestTokensPerRequest = 0 } = stored.volume
  const { hours, days } = stored.ledger
  return {
    surprises: NO_SURPRISES,
    ...stored,
    volume: { ...stored.volume, largestTokensPerRequest },
    ledger: { hours: asSpans(hours), days: asSpans(days) },
  }
}
export type StoredProfile = Omit<Profile, 'surprises' | 'volume' | 'ledger'> &
  Partial<Pick<Profile, 'surprises'>> & {
    readonly volume: StoredVolume
    readonly ledger: { readonly hours: StoredSpans; readonly days: StoredSpans }
  }
type StoredVolume = Omit<VolumeHabit, 'largestTokensPerRequest'> &
  Partial<Pick<VolumeHabit, 'largestTokensPerRequest'>>

/** How long the key has been known at `nowMs`, in days with one decimal, and how many requests have been learnt. */
export function historyOf(
  profile: Profile,
  nowMs: number,
): { readonly days: number; readonly events: number } {
  return {
    days: Math.max(0, Math.floor((10 * (nowMs - profile.firstSeenMs)) / DAY_MS) / 10),
    events: profile.events,
  }
}

/** True until the key has been known for `min_history` and `min_events` of its requests have been learnt. */
export function isLearning(
  profile: Profile,
  settings: { readonly min_history: number; readonly min_events: number },
  nowMs: number,
): boolean {
  return nowMs - profile.firstSeenMs < settings.min_history || profile.events < settings.min_events
}
