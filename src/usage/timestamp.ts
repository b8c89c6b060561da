import { DAY_MS, HOUR_MS, MINUTE_MS } from './duration.ts'

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)$/

/**
 * Reads an ISO-8601 date and time with a zone (`2026-01-02T03:04:05.678Z`, `2026-01-02 03:04+01:00`) as epoch
 * milliseconds; finer fractions are cut. Undefined when it is none, has no zone, or names a day or hour that does not
 * exist: `Date.parse` would move 30 February to March.
 */
export function parseTimestamp(text: string): number | undefined {
  const usual = parseUsual(text)
  if (!Number.isNaN(usual)) return usual
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

/** The spelling of nearly all senders, `2026-01-02T03:04:05.678Z` with or without the milliseconds, digit by digit: NaN for any other. */
function parseUsual(text: string): number {
  const { length } = text
  if ((length !== 24 && length !== 20) || !hasUsualMarks(text)) return NaN
  const dayMs = startOfDay(
    100 * twoDigits(text, 0) + twoDigits(text, 2),
    twoDigits(text, 5),
    twoDigits(text, 8),
  )
  const hour = twoDigits(text, 11)
  const minute = twoDigits(text, 14)
  const second = twoDigits(text, 17)
  const ms = length === 20 ? 0 : 10 * twoDigits(text, 20) + (twoDigits(text, 21) % 10)
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return NaN
  return dayMs + hour * HOUR_MS + minute * MINUTE_MS + second * 1_000 + ms
}

function hasUsualMarks(text: string): boolean {
  return (
    text[4] === '-' &&
    text[7] === '-' &&
    text[10] === 'T' &&
    text[13] === ':' &&
    text[16] === ':' &&
    (text.length === 20 || text[19] === '.') &&
    text.endsWith('Z')
  )
}

/** NaN where there are no two digits. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - DIGIT_ZERO
  const ones = text.charCodeAt(at + 1) - DIGIT_ZERO
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : NaN
}
const DIGIT_ZERO = 48

/** Most events are of the day of the one before. */
let newestDay = { year: NaN, month: NaN, day: NaN, startMs: NaN }

/** NaN for a day that does not exist. */
function startOfDay(year: number, month: number, day: number): number {
  if (day === newestDay.day && month === newestDay.month && year === newestDay.year) return newestDay.startMs
  const startMs = Date.UTC(year, month - 1, day)
  // Date.UTC rolls over what does not exist, and takes the years 0 to 99 for those of last century.
  const date = new Date(startMs)
  if (date.getUTCDate() !== day || date.getUTCMonth() !== month - 1 || year < 100) return NaN
  newestDay = { year, month, day, startMs }
  return startMs
}

/** Event times that make sense. */
export const TIMESTAMP_MIN_MS = Date.UTC(2015, 0, 1)
export const TIMESTAMP_END_MS = Date.UTC(2101, 0, 1)

/** True when a number of this size is more likely seconds than milliseconds since 1970. */
export function looksLikeSeconds(timestamp: number): boolean {
  return timestamp * 1_000 >= TIMESTAMP_MIN_MS - DAY_MS && timestamp * 1_000 < TIMESTAMP_END_MS
}
