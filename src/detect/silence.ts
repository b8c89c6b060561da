import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import { hourOfWeek } from '../usage/hour-of-week.ts'
import { presenceWeight } from './presence.ts'
import type { Profile, WeekHabit } from './profile.ts'

/** So many hours in which a key is usually used must go by without use. */
export const MISSED_HOURS = 12
/** Habits are kept to six digits. */
const ROUNDING = 0.01
/** And so many times the longest pause that the key made before. */
export const LONGER_THAN_HABIT = 1.5
/** A key without a longer pause on record (pauses of a day and more are) is taken to make one of this. */
const SHORTEST_PAUSE_MS = 8 * HOUR_MS
/** A key whose habit allows more than this has no steady habit to be held to. */
const ALLOWED_MAX_MS = 10 * DAY_MS
/** Before this nobody knows a key's weekends. */
const KNOWN_FOR_MS = 7 * DAY_MS

/** A silence that began is news for so long from the instant at which it exceeds the habit. */
export const SILENCE_NEWS_MS = 2 * HOUR_MS

/**
 * The instant from which no use of the key is a silence beyond its habit: MISSED_HOURS hours of expected use have gone by
 * (sum of the chances of use by hour of the week) and LONGER_THAN_HABIT times its longest pause. Always the start of an
 * hour. Undefined for a key without a steady habit.
 */
export function silentFromMs(profile: Profile): number | undefined {
  const { lastMs, longestPauseMs } = profile.use
  if (lastMs <= 0 || lastMs - profile.firstSeenMs < KNOWN_FOR_MS) return undefined
  const leastMs = LONGER_THAN_HABIT * Math.max(SHORTEST_PAUSE_MS, longestPauseMs)
  let missed = 0
  for (let atMs = lastMs; atMs - lastMs <= ALLOWED_MAX_MS; atMs += HOUR_MS) {
    if (missed >= MISSED_HOURS - ROUNDING && atMs - lastMs >= leastMs) return atMs
    missed += chanceOfUse(profile.week, hourOfWeek(atMs, profile.timeZone))
  }
  return undefined
}

/** How much of the hours of this slot the key was used in, 0 to 1; weeks fade as presence does. */
function chanceOfUse(week: WeekHabit, slot: number): number {
  const weight = presenceWeight(week.taught[slot] ?? 0)
  return weight > 0 ? Math.min(1, (week.active[slot] ?? 0) / weight) : 0
}
