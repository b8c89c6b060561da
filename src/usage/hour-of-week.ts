import { HOUR_MS, MINUTE_MS } from './duration.ts'

/** Slots in a week of hours; slot 0 is Monday 00:00 to 01:00 local time. */
export const HOURS_OF_WEEK = 168

// Zones change their offset at quarter hours at the finest, so one offset per zone and quarter hour is exact.
const OFFSET_GRAIN_MS = 15 * MINUTE_MS
const OFFSETS_KEPT = 4_096
const offsets = new Map<string, number>()
const formats = new Map<string, Intl.DateTimeFormat>()

/** The hour of the week, 0 to 167, of an instant in an IANA time zone. Throws RangeError for an unknown zone. */
export function hourOfWeek(atMs: number, timeZone: string): number {
  const localHours = Math.floor((atMs + zoneOffsetMs(atMs, timeZone)) / HOUR_MS)
  // 1970-01-01 was a Thursday: day 3 of a week that starts on Monday.
  return (((localHours + 3 * 24) % HOURS_OF_WEEK) + HOURS_OF_WEEK) % HOURS_OF_WEEK
}

/** What to add to UTC to get the zone's local time at that instant, in milliseconds. */
export function zoneOffsetMs(atMs: number, timeZone: string): number {
  if (timeZone === 'UTC') return 0
  const grain = Math.floor(atMs / OFFSET_GRAIN_MS)
  const cacheKey = `${timeZone} ${grain}`
  const known = offsets.get(cacheKey)
  if (known !== undefined) return known
  const offset = computeOffsetMs(grain * OFFSET_GRAIN_MS, timeZone)
  if (offsets.size >= OFFSETS_KEPT) offsets.clear()
  offsets.set(cacheKey, offset)
  return offset
}

/** `Mon 03:00` for a slot. */
export function hourOfWeekName(slot: number): string {
  const day = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'][Math.floor(slot / 24)] ?? ''
  return `${day} ${String(slot % 24).padStart(2, '0')}:00`
}

function computeOffsetMs(atMs: number, timeZone: string): number {
  let format = formats.get(timeZone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    })
    formats.set(timeZone, format)
  }
  const parts = Object.fromEntries(format.formatToParts(atMs).map((part) => [part.type, Number(part.value)]))
  const local = Date.UTC(
    parts['year'] ?? 0,
    (parts['month'] ?? 1) - 1,
    parts['day'],
    parts['hour'],
    parts['minute'],
  )
  return local - atMs
}
