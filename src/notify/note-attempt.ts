import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { MAX_RETRY_AFTER_MS } from '../outbound/backoff.ts'
import type { ChannelStateStore } from '../store/channel-state-store.ts'
import { MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import type { SendAttempt } from './try-to-send.ts'

/** A channel on which nothing has got through for so long is broken, also when each try may still get better. */
export const BROKEN_AFTER_MS = 10 * MINUTE_MS
const PROBE_DELAYS_MS = [30 * SECOND_MS, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS]
/** Never given up: a channel that nobody mends for a week is still asked. */
const LAST_PROBE_DELAY_MS = 15 * MINUTE_MS

/** How long after probe number `probes` (0: after it broke) a broken channel is asked again. */
export function probeDelayMs(probes: number): number {
  return PROBE_DELAYS_MS[probes] ?? LAST_PROBE_DELAY_MS
}

/**
 * Writes down what a try says about its channel: it works, it asked for a pause, it is broken. Resolves with true when
 * it broke or came back by that. What cannot be stored is only logged: the next try says it again.
 */
export async function noteAttempt(
  { states, clock, log }: { readonly states: ChannelStateStore; readonly clock: Clock; readonly log: Logger },
  {
    channel,
    attempt,
    wasStopped,
    intervalMs,
  }: {
    readonly channel: string
    readonly attempt: SendAttempt
    readonly wasStopped: boolean
    /** The channel's pace; it counts from when the other side has answered, however long that took. */
    readonly intervalMs: number
  },
): Promise<boolean> {
  // What we cut off ourselves says nothing about the other side.
  if (attempt.kind === 'unsent' || (wasStopped && attempt.kind === 'failed')) return false
  const nowMs = clock.nowMs()
  const askedMs = attempt.kind === 'failed' ? (attempt.error.retryAfterMs ?? 0) : 0
  const pauseMs = Math.max(intervalMs, Math.min(askedMs, MAX_RETRY_AFTER_MS))
  try {
    if (pauseMs > 0) await states.pause(channel, nowMs + pauseMs)
    if (attempt.kind === 'sent') {
      const broken = await states.worked(channel, nowMs)
      if (broken === undefined) return false
      log.info({ channel, brokenSince: broken.brokenAt }, 'the channel works again')
      return true
    }
    const { message, retryable, blame } = attempt.error
    // A message that is refused for what it is says nothing about the next one.
    if (!retryable && blame === 'message') return false
    const broke = await states.failed(channel, {
      error: message,
      refused: !retryable,
      nowMs,
      brokenAfterMs: BROKEN_AFTER_MS,
      probeAtMs: nowMs + probeDelayMs(0),
    })
    if (broke)
      log.error({ channel, error: message }, 'the channel is broken; it is told elsewhere and probed')
    return broke
  } catch (error) {
    log.warn({ channel, err: error }, 'the state of a channel could not be stored')
    return false
  }
}
