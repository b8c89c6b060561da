import { HOUR_MS } from '../usage/duration.ts'
import { HOURS_OF_WEEK, hourOfWeek } from '../usage/hour-of-week.ts'
import { bucketStart } from '../usage/rollup.ts'
import type { Profile } from './profile.ts'

/** A job starts at its minute and takes its time: so many hours of the clock, one after another, hold its use. */
const RUN_HOURS = 3
const RUN_SHARE = 0.9
/** It makes so many requests in an hour of use: people who ask now and then at the same time of day make fewer. */
const REQUESTS_PER_HOUR_MIN = 20
/** It has run on so many days (that fade): once is no schedule. */
const RUNS_MIN = 2

/**
 * True for a key that is used by the clock, in a few hours of the day and much in each, at an hour that is neither one of
 * these nor next to one.
 */
export function isOffSchedule({ week, timeZone }: Profile, nowMs: number): boolean {
  const used = Array<number>(24).fill(0)
  let requests = 0
  for (let slot = 0; slot < HOURS_OF_WEEK; slot += 1) {
    used[slot % 24] = (used[slot % 24] ?? 0) + (week.active[slot] ?? 0)
    requests += week.requests[slot] ?? 0
  }
  const all = used.reduce((sum, hour) => sum + hour, 0)
  if (all < RUNS_MIN || requests < REQUESTS_PER_HOUR_MIN * all) return false
  const usedAround = (hour: number, hours: number): number =>
    Array.from({ length: hours }, (_, after) => used[(hour + after + 24) % 24] ?? 0).reduce(
      (a, b) => a + b,
      0,
    )
  const isScheduled = used.some((_, hour) => usedAround(hour, RUN_HOURS) >= RUN_SHARE * all)
  const now = hourOfWeek(bucketStart(nowMs, HOUR_MS), timeZone) % 24
  return isScheduled && usedAround(now - 1, 3) < (1 - RUN_SHARE) * all
}
