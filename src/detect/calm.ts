import { HOUR_MS } from '../usage/duration.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { bucketStart } from '../usage/rollup.ts'
import type { DetectorSettings } from './detector.ts'
import { isLearning, type Profile } from './profile.ts'

/**
 * What a detector says, once it has seen that a key does what it always does, of the rest of the hour: as long as profile,
 * prior and settings are the same, and no model, country, address or place comes that was not among the recent usage it saw, it
 * finds nothing at any later instant of the hour at which this is true of the usage. Cheap: it is asked at tick after
 * tick in place of the detector. It outlives the profile in memory, so it is made by a function that is not given one.
 */
export type Calm = (usage: KeyUsage, nowMs: number) => boolean

/** What all detectors say together of a key. */
export interface KeyCalm {
  readonly isCalm: Calm
  /** The last instant for which they say so. */
  readonly untilMs: number
  /** Of the profile that it rests on. */
  readonly learnedUntilMs: number
}

/** Whatever the key does more of. */
export const CALM: Calm = () => true

/** The last instant of the hour of the clock. */
export function endOfHour(nowMs: number): number {
  return bucketStart(nowMs, HOUR_MS) + HOUR_MS - 1
}

/** True for a detector with a learning period that is not over. */
export function isBeingLearnt(profile: Profile, settings: DetectorSettings, nowMs: number): boolean {
  if (!('min_history' in settings) || !('min_events' in settings)) return false
  const { min_history: history, min_events: events } = settings
  if (typeof history !== 'number' || typeof events !== 'number') return false
  return isLearning(profile, { min_history: history, min_events: events }, nowMs)
}

/**
 * `whenKnown` of a key that is known; of one that is being learnt `whileLearnt`, which is calm for a detector that says
 * nothing of it; undefined when it becomes known within the hour.
 */
export function calmUnlessKnown(
  {
    profile,
    settings,
    nowMs,
  }: {
    readonly profile: Profile
    readonly settings: { readonly min_history: number; readonly min_events: number }
    readonly nowMs: number
  },
  whenKnown: () => Calm | undefined,
  whileLearnt: () => Calm | undefined = () => CALM,
): Calm | undefined {
  if (!isLearning(profile, settings, nowMs)) return whenKnown()
  return isLearning(profile, settings, endOfHour(nowMs)) ? whileLearnt() : undefined
}
