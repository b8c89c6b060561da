import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { HOURS_OF_WEEK, hourOfWeek } from '../usage/hour-of-week.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { bucketStart } from '../usage/rollup.ts'
import { digestOf } from '../usage/usage-digest.ts'
import { keptWith } from './kept-with.ts'
import { placed, type KnownPlace } from './places.ts'
import { chanceAt, presenceOf, type Presence } from './presence.ts'
import type { Profile } from './profile.ts'
import { freshAddresses } from './source-excess.ts'

interface Known {
  readonly usage: KeyUsage
  readonly profile: Profile
  readonly nowMs: number
}

/** What a key made in an hour that is far quieter than a typical hour of its use. */
export interface UsedHour {
  readonly hourMs: number
  readonly slot: number
  /** The tail of its slot, or of the hour before it if that is counted too and less rare. */
  readonly tail: number
  /** Since when its requests are counted: its start, or an hour ago if the hour before it is quiet too. */
  readonly fromMs: number
  /** Successful requests since then. */
  readonly requests: number
}

/** An hour that closed this recently is still judged: the request that decides may have come in its last second. */
const JUDGED_AFTER_MS = 5 * MINUTE_MS
/** An hour must also be this much less likely to be used than a typical hour of use: keys in use round the clock have none. */
const FAR_BELOW_TYPICAL = 0.15
/** Above this, with a margin for rounding, an hour is not that quiet even where a typical one is certain. */
const BUSY_CHANCE = FAR_BELOW_TYPICAL * 1.001

/**
 * True when none of the hours that `quietHours` looks at is a quiet one, whatever was made in them. Nearly always so, and
 * far cheaper to tell; false says nothing. No chance is above 1, so no typical one is either.
 */
export function areBusyHours({ week, timeZone }: Profile, nowMs: number): boolean {
  return isEachJudged(timeZone, nowMs, (slot) => isBusyHour(week, slot))
}

/** True when it holds for the open hour and, while that is still judged, for the one before it. */
function isEachJudged(timeZone: string, nowMs: number, holds: (slot: number) => boolean): boolean {
  const openMs = bucketStart(nowMs, HOUR_MS)
  return (
    holds(hourOfWeek(openMs, timeZone)) &&
    (nowMs - openMs >= JUDGED_AFTER_MS || holds(hourOfWeek(openMs - HOUR_MS, timeZone)))
  )
}

/** By hour of the week; remembered per habit, which changes once an hour. */
const busyHours = keptWith<Profile['week'], Map<number, boolean>>()

function isBusyHour(week: Profile['week'], slot: number): boolean {
  let known = busyHours.get(week)
  if (known === undefined) {
    known = new Map()
    busyHours.set(week, known)
  }
  let isBusy = known.get(slot)
  if (isBusy === undefined) {
    isBusy = chanceAt(week, slot) > BUSY_CHANCE
    known.set(slot, isBusy)
  }
  return isBusy
}

/** True when neither the open hour nor, while it is still judged, the one before it is far quieter than a typical one. */
export function isNoneQuiet({ week, timeZone }: Profile, nowMs: number): boolean {
  const presence = presenceOf(week)
  return isEachJudged(timeZone, nowMs, (slot) => !isFarBelow(presence, slot))
}

/** The open hour, and the one that closed just now, as far as they are far quieter than a typical hour of use. */
export function quietHours({ usage, profile, nowMs }: Known, presence: Presence): UsedHour[] {
  const openMs = bucketStart(nowMs, HOUR_MS)
  const beforeMs = openMs - HOUR_MS
  const open = hourOfWeek(openMs, profile.timeZone)
  const before = hourOfWeek(beforeMs, profile.timeZone)
  const isQuietBefore = isFarBelow(presence, before)
  const hours: UsedHour[] = []
  if (isFarBelow(presence, open) && madeSince(usage, openMs, nowMs) > 0) {
    const fromHour = (fromMs: number, tail: number): void => {
      hours.push({ hourMs: openMs, slot: open, tail, fromMs, requests: madeSince(usage, fromMs, nowMs) })
    }
    fromHour(openMs, presence.tailOf(open))
    if (isQuietBefore) fromHour(nowMs - HOUR_MS, Math.max(presence.tailOf(open), presence.tailOf(before)))
  }
  if (isQuietBefore && nowMs - openMs < JUDGED_AFTER_MS)
    hours.push({
      hourMs: beforeMs,
      slot: before,
      tail: presence.tailOf(before),
      fromMs: beforeMs,
      requests: madeSince(usage, beforeMs, nowMs) - madeSince(usage, openMs, nowMs),
    })
  return hours
}

/** Successful requests from the minute of an instant on; of the whole usage up to `nowMs`. */
function madeSince(usage: KeyUsage, fromMs: number, nowMs: number): number {
  const { requests, refused } = digestOf(usage, nowMs).since(bucketStart(fromMs))
  return requests - refused
}

function isFarBelow(presence: Presence, slot: number): boolean {
  return (presence.chances[slot] ?? 1) <= FAR_BELOW_TYPICAL * presence.typical
}

/** An hour of the clock is so many degrees of longitude. */
const DEGREES_PER_HOUR = 15
/** Within large countries people work together over three hours of clocks. */
const JOURNEY_HOURS = 4

/**
 * True when the strangers are far east or west of where the key was used last, and this hour is a usual one by the sun
 * there: whoever travels works at other hours.
 */
export function isJourney(
  { usage, profile, nowMs }: Known,
  presence: Presence,
  { slot, fromMs }: Pick<UsedHour, 'slot' | 'fromMs'>,
): boolean {
  const fresh = freshAddresses(profile, usage, nowMs)
  const known = profile.places.places
  const away = placed(
    usage.sources.filter(({ address, lastMs }) => lastMs >= fromMs && fresh?.has(address) === true),
    known,
  )
  const names = new Set(away.map(({ place }) => place.name))
  const last = known
    .filter(({ name }) => !names.has(name))
    .reduce<KnownPlace | undefined>((a, b) => (a !== undefined && a.lastMs >= b.lastMs ? a : b), undefined)
  if (last === undefined) return false
  return away.some(({ place }) => {
    const hours = Math.round((place.longitude - last.longitude) / DEGREES_PER_HOUR)
    const alike = (slot + hours + HOURS_OF_WEEK) % HOURS_OF_WEEK
    return Math.abs(hours) >= JOURNEY_HOURS && !isFarBelow(presence, alike)
  })
}
