import { DAY_MS, HOUR_MS } from './duration.ts'
import { zoneOffsetMs } from './hour-of-week.ts'

export const PERIODS = ['day', 'week', 'month'] as const
/** A period of the calendar; weeks start on Monday. */
export type Period = (typeof PERIODS)[number]

export interface PeriodBounds {
  readonly startMs: number
  /** Start of the next one. */
  readonly endMs: number
  /** The local date on which it starts: `2026-03-02`. */
  readonly name: string
}

/** The period that holds an instant, by the clocks of an IANA time zone. Throws RangeError for an unknown zone. */
export function periodAt(atMs: number, period: Period, timeZone: string): PeriodBounds {
  const local = new Date(atMs + zoneOffsetMs(atMs, timeZone))
  const [year, month, day] = [local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()]
  switch (period) {
    case 'day':
      return bounds(Date.UTC(year, month, day), Date.UTC(year, month, day + 1), timeZone)
    case 'week': {
      const monday = day - ((local.getUTCDay() + 6) % 7)
      return bounds(Date.UTC(year, month, monday), Date.UTC(year, month, monday + 7), timeZone)
    }
    case 'month':
      return bounds(Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1), timeZone)
    default:
      return period satisfies never
  }
}

function bounds(localStartMs: number, localEndMs: number, timeZone: string): PeriodBounds {
  return {
    startMs: firstInstantAt(localStartMs, timeZone),
    endMs: firstInstantAt(localEndMs, timeZone),
    name: new Date(localStartMs).toISOString().slice(0, 10),
  }
}

/**
 * The first instant at which the zone's clocks show a time of day or later: where midnight is skipped, as in zones that
 * change their clocks then, the day starts after the gap.
 */
function firstInstantAt(localMs: number, timeZone: string): number {
  const around = [-DAY_MS, 0, DAY_MS].map((ms) => localMs - zoneOffsetMs(localMs + ms, timeZone))
  const candidates = around.filter((ms) => ms + zoneOffsetMs(ms, timeZone) >= localMs)
  return Math.min(...(candidates.length > 0 ? candidates : [Math.max(...around) + HOUR_MS]))
}
