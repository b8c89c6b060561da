import { DAY_MS, HOUR_MS, WEEK_MS } from '../usage/duration.ts'
import { bucketStart, type UsageTotals } from '../usage/rollup.ts'
import { entryAt, spansWith, spansWithLast, type LedgerEntry } from './ledger-spans.ts'
import { LEDGER_DAYS, LEDGER_HOURS, type Ledger } from './profile.ts'

// Zones are at most 12 hours behind UTC and 14 ahead, so there a month or a week starts within these hours of UTC's.
const HOURS_AHEAD = 14
const HOURS_BEHIND = 12
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS

/** The ledger after an hour in which the key was used. */
export function ledgerAfter(ledger: Ledger, hourMs: number, totals: UsageTotals): Ledger {
  const dayMs = bucketStart(hourMs, DAY_MS)
  const entry: LedgerEntry = [hourMs, totals.requests - totals.refused, totals.costNanoUsd, totals.unpriced]
  const hours = spansWith(ledger.hours, entry, (startMs) => isKeptHour(startMs, hourMs))
  const today = entryAt(ledger.days, -1)
  if (today?.[0] === dayMs)
    return {
      hours,
      days: spansWithLast(ledger.days, [
        dayMs,
        today[1] + entry[1],
        today[2] + entry[2],
        today[3] + entry[3],
      ]),
    }
  const oldestDayMs = dayMs - LEDGER_DAYS * DAY_MS
  const days = spansWith(
    ledger.days,
    [dayMs, entry[1], entry[2], entry[3]],
    (startMs) => startMs > oldestDayMs,
  )
  return { hours, days }
}

/**
 * True for an hour that a ledger still has by the hour after `lastHourMs` has been learnt: the last LEDGER_HOURS, and
 * those in which the month or the week began somewhere, so that sums since then are exact in every zone.
 */
export function isKeptHour(hourMs: number, lastHourMs: number): boolean {
  if (hourMs > lastHourMs - LEDGER_HOURS * HOUR_MS) return true
  // While zones behind UTC are still in the month before, its start matters.
  const turnedMs = lastHourMs - (HOURS_BEHIND + 1) * HOUR_MS
  if (turnedMs !== turns.atMs)
    turns = { atMs: turnedMs, monthMs: startOfMonth(turnedMs), weekMs: startOfWeek(turnedMs) }
  return isAround(turns.monthMs, hourMs) || isAround(turns.weekMs, hourMs)
}

/** The month and week that were asked for last: all hours of all keys are learnt in the order of time. */
let turns = { atMs: NaN, monthMs: NaN, weekMs: NaN }

function isAround(startMs: number, hourMs: number): boolean {
  return hourMs >= startMs - HOURS_AHEAD * HOUR_MS && hourMs < startMs + HOURS_BEHIND * HOUR_MS
}

function startOfMonth(atMs: number): number {
  const at = new Date(atMs)
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1)
}

function startOfWeek(atMs: number): number {
  return Math.floor((atMs - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS
}
