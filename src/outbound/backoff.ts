import { HOUR_MS } from '../usage/duration.ts'

/** However long the other side asks us to wait, an alert is tried again within this time. */
export const MAX_RETRY_AFTER_MS = HOUR_MS

/** Delays before the second try, the third, and so on. After the last one there is no further try. */
export type RetrySchedule = readonly number[]

/**
 * How long to wait after try number `attempt` (the first is 1) failed; undefined when it was the last. `jitter`, from 0
 * up to 1, spreads the delay by a fifth either way, so that messages that failed together do not come back together.
 * Never shorter than what the other side asked for.
 */
export function retryDelayMs(
  schedule: RetrySchedule,
  {
    attempt,
    jitter,
    retryAfterMs = 0,
  }: { readonly attempt: number; readonly jitter: number; readonly retryAfterMs?: number | undefined },
): number | undefined {
  const delayMs = schedule[attempt - 1]
  if (delayMs === undefined) return undefined
  return Math.max(Math.round(delayMs * (0.8 + 0.4 * jitter)), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS))
}
