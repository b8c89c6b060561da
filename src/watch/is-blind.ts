import { DAY_MS, MINUTE_MS } from '../usage/duration.ts'
import type { Signals } from './signals.ts'

/** Less usage than this can fail to come by chance: no request at all where so many are usual happens once in 3 million. */
export const EXPECTED_MIN = 15
/** Gateways report in batches: a minute without usage is none to worry about. */
export const SILENCE_MIN_MS = 2 * MINUTE_MS

/**
 * True while nobody can say what the keys do: what is known is old although there should be news, or nothing is known.
 * Quiet means nothing then: no alert may be resolved, and nothing may be judged by what is missing. Sooner than
 * `ingest_silent` is told: holding one's tongue for a while costs nothing.
 */
export function isBlind({ usage, jobs }: Pick<Signals, 'usage' | 'jobs'>, nowMs: number): boolean {
  if (usage === undefined) return true
  if (usage.newestMs === undefined) return false
  const silentMs = nowMs - usage.newestMs
  if (silentMs < SILENCE_MIN_MS) return false
  if (jobs !== undefined && jobs.waiting > 0 && silentMs <= DAY_MS) return true
  return usage.expected !== undefined && usage.expected >= EXPECTED_MIN
}
