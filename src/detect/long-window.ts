import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../usage/key-usage.ts'
import { addInto, bucketStart, NO_USAGE, type UsageTotals } from '../usage/rollup.ts'
import { entriesOf } from './ledger-spans.ts'
import type { Profile } from './profile.ts'

/** Windows up to this are summed minute by minute; longer ones by the hours of the ledger, and the minutes since. */
export const SHORT_WINDOWS_MS = RECENT_USAGE_MS / 2

/** What a key did in whole hours and the open one up to `nowMs`, and when that begins: at the latest `windowMs` ago. */
export interface LongWindow {
  readonly fromMs: number
  readonly endMs: number
  /** Successful requests, cost and what is unpriced; the ledger knows no tokens. */
  readonly totals: UsageTotals
  /** Successful requests of the hours of the ledger. */
  readonly made: ReadonlyMap<number, number>
}

/** The sum of a window of hours that ends now. Hours that it covers only in part, at its old end, are left out. */
export function longWindow(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  windowMs: number,
): LongWindow {
  const endMs = bucketStart(nowMs) + MINUTE_MS
  const fromMs = Math.ceil((endMs - windowMs) / HOUR_MS) * HOUR_MS
  const totals = { ...NO_USAGE }
  const made = new Map<number, number>()
  for (const [hourMs, requests, costNanoUsd, unpriced] of entriesOf(profile.ledger.hours, fromMs, endMs)) {
    addInto(totals, { ...NO_USAGE, requests, costNanoUsd, unpriced })
    made.set(hourMs, requests)
  }
  for (const rollup of usage.rollups) {
    if (rollup.bucketMs < Math.max(fromMs, profile.learnedUntilMs) || rollup.bucketMs > nowMs) continue
    addInto(totals, rollup)
  }
  return { fromMs, endMs, totals, made }
}

/**
 * The most that the key made in such a window before, as far as its days tell: its largest whole day that had ended when
 * the window began, or of a shorter window the part that one would have if the hours of a day were apart (a square root).
 */
export function longPeak(
  { ledger }: Profile,
  {
    fromMs,
    windowMs,
    isCost,
  }: { readonly fromMs: number; readonly windowMs: number; readonly isCost: boolean },
): number {
  let most = 0
  for (const [dayMs, requests, costNanoUsd] of entriesOf(ledger.days))
    if (dayMs + DAY_MS <= fromMs) most = Math.max(most, isCost ? costNanoUsd : requests)
  return most * Math.sqrt(Math.min(1, windowMs / DAY_MS))
}
