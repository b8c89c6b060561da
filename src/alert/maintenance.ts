import { DAY_MS, MINUTE_MS } from '../usage/duration.ts'
import { zoneOffsetMs } from '../usage/hour-of-week.ts'
import type { Mute } from './mute.ts'
import { plainText } from './plain-text.ts'
import type { RouteMatch } from './route.ts'

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Weekday = (typeof WEEKDAYS)[number]

/**
 * A time in which alerts are opened as usual and nobody is told: once (`fixed`), or every week by the clocks of a time
 * zone (`weekly`). What is still open at its end is told then.
 */
export interface MaintenanceWindow {
  readonly name: string
  readonly match: RouteMatch
  readonly fixed?: { readonly startsMs: number; readonly endsMs: number } | undefined
  readonly weekly?: WeeklyWindow | undefined
}

export interface WeeklyWindow {
  /** The days on which it begins. */
  readonly days: readonly Weekday[]
  /** Minutes since midnight; when `to` is not later than `from`, it ends on the next day. */
  readonly fromMinute: number
  readonly toMinute: number
  /** IANA time zone. */
  readonly timeZone: string
}

/** The windows that are open at an instant, as what they are to alerts. */
export function maintenanceAt(windows: readonly MaintenanceWindow[], nowMs: number): Mute[] {
  return windows
    .filter((window) => isOpen(window, nowMs))
    .map(({ name, match }) => ({ id: `maintenance:${name}`, label: maintenanceLabel(name), match }))
}

/** How people are told of a window. */
export function maintenanceLabel(name: string): string {
  return `the maintenance window "${plainText(name, 64)}"`
}

function isOpen({ fixed, weekly }: MaintenanceWindow, nowMs: number): boolean {
  if (fixed !== undefined && nowMs >= fixed.startsMs && nowMs < fixed.endsMs) return true
  return weekly !== undefined && isOpenWeekly(weekly, nowMs)
}

/** By the wall clock: a window from 22:00 to 02:00 is open at these hours also on days on which clocks change. */
function isOpenWeekly({ days, fromMinute, toMinute, timeZone }: WeeklyWindow, nowMs: number): boolean {
  const localMs = nowMs + zoneOffsetMs(nowMs, timeZone)
  const minute = Math.floor((localMs % DAY_MS) / MINUTE_MS)
  // 1970-01-01 was a Thursday: day 3 of a week that starts on Monday.
  const today = (Math.floor(localMs / DAY_MS) + 3) % 7
  const began = (day: number): boolean => days.includes(WEEKDAYS[(day + 7) % 7] ?? 'mon')
  if (fromMinute < toMinute) return began(today) && minute >= fromMinute && minute < toMinute
  return (began(today) && minute >= fromMinute) || (began(today - 1) && minute < toMinute)
}
