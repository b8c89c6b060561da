import { DAY_MS, HOUR_MS, MINUTE_MS } from './duration.ts'

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)$/

/**
 * Reads an ISO-8601 date and time with a zone (`2026-01-02T03:04:05.678Z`, `2026-01-02 03:04+01:00`) as epoch
 * milliseconds; finer fractions are cut. Undefined when it is none, has no zone, or names a day or hour that does not
 * exist: `Date.parse` would move 30 February to March.
 */
export function parseTimestamp(text: string): number | undefined {
  const match = ISO.exec(text)
  if (match === null) return undefined
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second = '0',
    fraction = '0',
    sign,
    zoneHour = '0',
    zoneMinute = '0',
  ] = match
  const startOfDayMs = Date.UTC(Number(year), Number(month) - 1, Number(day))
  // Date.UTC rolls over what does not exist: only a day that every month has can be trusted unseen.
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1) return undefined
  if (Number(day) > 28 && new Date(startOfDayMs).getUTCDate() !== Number(day)) return undefined
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined
  if (Number(zoneHour) > 23 || Number(zoneMinute) > 59) return undefined
  const timeMs = Number(hour) * HOUR_MS + Number(minute) * MINUTE_MS + Number(second) * 1_000
  const offsetMs = Number(zoneHour) * HOUR_MS + Number(zoneMinute) * MINUTE_MS
  const fractionMs = Math.floor(Number(`0.${fraction}`) * 1_000 + 1e-6)
  return startOfDayMs + timeMs + fractionMs - (sign === '-' ? -offsetMs : offsetMs)
}

/** Event times that make sense. */
export const TIMESTAMP_MIN_MS = Date.UTC(2015, 0, 1)
export const TIMESTAMP_END_MS = Date.UTC(2101, 0, 1)

/** True when a number of this size is more likely seconds than milliseconds since 1970. */
export function looksLikeSeconds(timestamp: number): boolean {
  return timestamp * 1_000 >= TIMESTAMP_MIN_MS - DAY_MS && timestamp * 1_000 < TIMESTAMP_END_MS
}
