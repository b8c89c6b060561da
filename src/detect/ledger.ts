import { DAY_MS, HOUR_MS, WEEK_MS } from '../usage/duration.ts'
import { bucketStart, type UsageTotals } from '../usage/rollup.ts'
import { LEDGER_DAYS, LEDGER_HOURS, type Ledger, type LedgerEntry } from './profile.ts'

// Zones are at most 12 hours behind UTC and 14 ahead, so there a month or a week starts within these hours of UTC's.
const HOURS_AHEAD = 14
const HOURS_BEHIND = 12
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS

/** The ledger after an hour in which the key was used. */
export function ledgerAfter(ledger: Ledger, hourMs: number, totals: UsageTotals): Ledger {
  const dayMs = bucketStart(hourMs, DAY_MS)
  const entry: LedgerEntry = [hourMs, totals.requests - totals.refused, totals.costNanoUsd, totals.unpriced]
  const today = ledger.days.at(-1)
  const days: readonly LedgerEntry[] =
    today?.[0] === dayMs
      ? ledger.days.with(-1, [dayMs, today[1] + entry[1], today[2] + entry[2], today[3] + entry[3]])
      : [...ledger.days, [dayMs, entry[1], entry[2], entry[3]]]
  const oldestDayMs = dayMs - LEDGER_DAYS * DAY_MS
  return {
    hours: keptHours(ledger.hours, hourMs).concat([entry]),
    // Ascending: when the first is kept, all are.
    days: (days[0]?.[0] ?? dayMs) > oldestDayMs ? days : days.filter(([startMs]) => startMs > oldestDayMs),
  }
}

/** The hours that a ledger keeps when it learns this one. They ascend, and those of the last days are all kept. */
function keptHours(hours: readonly LedgerEntry[], hourMs: number): readonly LedgerEntry[] {
  let recent = hours.length
  while (recent > 0 && (hours[recent - 1]?.[0] ?? hourMs) > hourMs - LEDGER_HOURS * HOUR_MS) recent -= 1
  const older = hours.slice(0, recent).filter(([startMs]) => isKeptHour(startMs, hourMs))
  return older.length === recent ? hours : [...older, ...hours.slice(recent)]
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
