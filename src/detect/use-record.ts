import { DAY_MS, HOUR_MS } from '../usage/duration.ts'

/** When the key was used, by successful requests. */
export interface UseRecord {
  /** End of the last hour of use; 0 for a key that was never used. */
  readonly lastMs: number
  /** The newest pause of PAUSE_MS or more; undefined for a key that never made one. */
  readonly pause?: Pause
  /** The longest such pause, fading. */
  readonly longestPauseMs: number
}

/** A pause from the end of an hour of use to the start of the next one. */
export interface Pause {
  readonly fromMs: number
  readonly toMs: number
  /** The longest pause before this one, as it was then: what the key does by habit. */
  readonly longestBeforeMs: number
}

/** Shorter pauses are not kept: every night is one. */
const PAUSE_MS = DAY_MS
/** A holiday is forgotten in about a year. */
const PAUSE_HALF_LIFE_MS = 90 * DAY_MS

export const NEVER_USED: UseRecord = { lastMs: 0, longestPauseMs: 0 }

/** The record after an hour with `made` successful requests. */
export function withUse(record: UseRecord, hourMs: number, made: number): UseRecord {
  if (made <= 0) return record
  const lastMs = hourMs + HOUR_MS
  const pause = pauseBefore(record, hourMs)
  if (pause === undefined) return { ...record, lastMs }
  return { lastMs, pause, longestPauseMs: Math.max(pause.longestBeforeMs, pause.toMs - pause.fromMs) }
}

/** The pause that ends with a use in the hour at `hourMs`; undefined when there was none of PAUSE_MS. */
export function pauseBefore(record: UseRecord, hourMs: number): Pause | undefined {
  const { lastMs } = record
  if (lastMs <= 0 || hourMs - lastMs < PAUSE_MS) return undefined
  const fade = 0.5 ** ((hourMs - lastMs) / PAUSE_HALF_LIFE_MS)
  return { fromMs: lastMs, toMs: hourMs, longestBeforeMs: Math.round(record.longestPauseMs * fade) }
}
