import { DAY_MS, HOUR_MS, WEEK_MS } from '../usage/duration.ts'
import { LEDGER_HOURS } from './profile.ts'

// Zones are at most 12 hours behind UTC and 14 ahead, so there a month or a week starts within these hours of UTC's.
const HOURS_AHEAD = 14
const HOURS_BEHIND = 12
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS

/**
 * True for an hour that a ledger still has by the hour after `lastHourMs` has been learnt: the last LEDGER_HOURS, and
 * those in which the month or the week began somewhere, so that sums since then are exact in every zone.
 */
export function isKeptHour(hourMs: number, lastHourMs: number): boolean {
  if (hourMs > lastHourMs - LEDGER_HOURS * HOUR_MS) return true
  // While zones behind UTC are still in the month before, its start matters.
  const turnedMs = lastHourMs - (HOURS_BEHIND + 1) * HOUR_MS
  return [startOfMonth(turnedMs), startOfWeek(turnedMs)].some(
    (startMs) => hourMs >= startMs - HOURS_AHEAD * HOUR_MS && hourMs < startMs + HOURS_BEHIND * HOUR_MS,
  )
}

function startOfMonth(atMs: number): number {
  const at = new Date(atMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1)
}

function startOfWeek(atMs: number): number {
  return Math.floor((atMs - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS
}
