import { DAY_MS } from './duration.ts'
import type { UsageEvent } from './event.ts'

/** How far ahead of keyhound's clock an event may be: a clock that is wrong by a time zone passes, a wrong year does not. */
export const FUTURE_MAX_MS = DAY_MS

/** Says so when the event's time is too far in the future to be believed. It names no clock: a repeat must get the same reason. */
export function futureError({ timestampMs }: UsageEvent, nowMs: number): string | undefined {
  if (timestampMs <= nowMs + FUTURE_MAX_MS) return undefined
  return `timestamp: ${new Date(timestampMs).toISOString()} is more than 24 hours ahead of the clock`
}
