import { DAY_MS } from '../usage/duration.ts'
import { requestScale } from './expected-volume.ts'
import type { Coordinates } from './places.ts'
import { isLearning, type KnownValue, type Profile } from './profile.ts'

/**
 * What one key tells of its fleet: how far it goes and what it uses. Taken from its profile once a day, so what the
 * profile does not learn (hours under an alert) is not in it. Plain JSON, a few hundred bytes.
 */
export interface KeyHabit {
  readonly keyId: string
  readonly teamId: string | undefined
  readonly firstSeenMs: number
  /** End of the last hour that is in it. */
  readonly untilMs: number
  /** Fading maxima of an hour, and of five minutes. */
  readonly peakRequests: number
  readonly peakFiveMinutes: number
  readonly peakTokens: number
  readonly peakCostNanoUsd: number
  readonly peakTokensPerRequest: number
  /** Mean of a request; 0 while nobody knows. */
  readonly costNanoUsdPerRequest: number
  /** In use within HABIT_KEPT_MS, in order of first sight. */
  readonly countries: readonly string[]
  readonly models: readonly string[]
  /** Where it is at home; empty for a key that is used from everywhere. */
  readonly places: readonly Coordinates[]
}

/** A key tells of its fleet once it has been known for as long as detectors want to know a key by default. */
const TELLS_FROM = { min_history: 3 * DAY_MS, min_events: 20 }
/** What a key has not done for so long says nothing of its fleet any more. */
export const HABIT_KEPT_MS = 28 * DAY_MS

/** What the key tells of its fleet; undefined while too little is known of it. */
export function habitOf(profile: Profile, teamId: string | undefined): KeyHabit | undefined {
  const { learnedUntilMs, volume } = profile
  if (isLearning(profile, TELLS_FROM, learnedUntilMs)) return undefined
  const inUse = (known: readonly KnownValue[]): string[] =>
    known
      .filter(({ settled, lastSeenMs }) => settled && lastSeenMs > learnedUntilMs - HABIT_KEPT_MS)
      .map(({ value }) => value)
  return {
    keyId: profile.keyId,
    teamId,
    firstSeenMs: profile.firstSeenMs,
    untilMs: learnedUntilMs,
    peakRequests: volume.peakRequests,
    peakFiveMinutes: volume.peakFiveMinutes,
    peakTokens: volume.peakTokens,
    peakCostNanoUsd: volume.peakCostNanoUsd,
    peakTokensPerRequest: volume.peakTokensPerRequest,
    costNanoUsdPerRequest: requestScale(volume.costNanoUsd)?.mean ?? 0,
    countries: inUse(profile.countries),
    models: inUse(profile.models),
    places: homesOf(profile),
  }
}

/** A key with more places than this tells nothing of where its fleet works: people all over the world, or an egress that is. */
const HOMES_MAX = 4
/** A place is a home after so long, however much a thief makes there in a night, and while it is used. */
const HOME_AFTER_MS = 3 * DAY_MS
const HOME_USED_MS = 7 * DAY_MS

function homesOf({ places: { places }, learnedUntilMs }: Profile): Coordinates[] {
  const homes = places.filter(
    ({ firstMs, lastMs }) =>
      firstMs <= learnedUntilMs - HOME_AFTER_MS && lastMs > learnedUntilMs - HOME_USED_MS,
  )
  return homes.length > HOMES_MAX ? [] : homes.map(({ latitude, longitude }) => ({ latitude, longitude }))
}

/** True when a UTC day ended between what the two profiles of a key have learnt (from its start, without the first): then its habit is taken anew. */
export function endsDay(before: Profile | undefined, after: Profile): boolean {
  return dayOf(before?.learnedUntilMs ?? after.firstSeenMs) < dayOf(after.learnedUntilMs)
}

function dayOf(atMs: number): number {
  return Math.floor(atMs / DAY_MS)
}
