import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { MAX_RETRY_AFTER_MS, retryDelayMs, type RetrySchedule } from '../outbound/backoff.ts'
import { startPolling, type PollLoop } from '../outbound/poll-loop.ts'
import { storeFirmly } from '../outbound/store-firmly.ts'
import type { ClaimedDelivery, DeliveryOutcome, DeliveryStore } from '../store/delivery-store.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import { DeliveryError, type Channel } from './channel.ts'

/** Dense in the first ten minutes, when the alert matters most; gives up after about a day. */
export const DELIVERY_SCHEDULE: RetrySchedule = [
  SECOND_MS,
  5 * SECOND_MS,
  15 * SECOND_MS,
  MINUTE_MS,
  2 * MINUTE_MS,
  5 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  ...Array.from({ length: 23 }, () => HOUR_MS),
]

/** One try, with a second request for a fallback and the steps of a mail server's talk. */
export const SEND_TIMEOUT_MS = 30 * SECOND_MS
/** A claim outlives its try and the writing of its outcome, so that no other sender takes the message meanwhile. */
export const LEASE_MS = SEND_TIMEOUT_MS + 30 * SECOND_MS
/** How soon deliveries that other processes wrote are seen. */
const POLL_MS = SECOND_MS
/** A message that is cut off may arrive all the same and then arrives twice, so the sender may finish. */
const STOP_GRACE_MS = 5 * SECOND_MS

/** What became of one try; told after it has been stored. */
export interface DeliveryReport {
  readonly delivery: ClaimedDelivery
  readonly outcome: DeliveryOutcome
  readonly durationMs: number
}

export interface Delivering {
  readonly deliveries: DeliveryStore
  /** By name; asked anew for each message, so that a reload of the configuration takes effect. */
  readonly channels: () => ReadonlyMap<string, Channel>
  readonly clock: Clock
  readonly log: Logger
  readonly onOutcome?: (report: DeliveryReport) => void
  /** From 0 up to 1, for the jitter of retries. */
  readonly random?: () => number
  /** Default SEND_TIMEOUT_MS, and no more than that: leases are made for it. */
  readonly sendTimeoutMs?: number
}

/**
 * Sends what is due in the outbox: channels side by side, each one message at a time, at most one every
 * `minIntervalMs`. A channel that asks for a pause gets it. All state is in the store: after a crash another sender
 * takes over when the lease ends, with the same ids. `stop` claims nothing more, gives what is being sent
 * STOP_GRACE_MS to end, then cancels it: it will be tried again.
 */
export function startDelivering(parts: Delivering): PollLoop {
  const { deliveries, clock, log } = parts
  const lanes = new Map<string, Promise<void>>()
  const cutOff = new AbortController()
  const pausedUntilMs = new Map<string, number>()

  const runLane = async (delivery: ClaimedDelivery): Promise<void> => {
    try {
      const pauseMs = await deliver(parts, delivery, cutOff.signal)
      pausedUntilMs.set(delivery.channel, clock.nowMs() + pauseMs)
    } catch (error) {
      log.error({ deliveryId: delivery.id, channel: delivery.channel, err: error }, 'a delivery broke off')
    } finally {
      lanes.delete(delivery.channel)
      loop.wake()
    }
  }

  const turn = async (signal: AbortSignal): Promise<number> => {
    while (!signal.aborted) {
      const nowMs = clock.nowMs()
      const paused = [...pausedUntilMs].filter(([, untilMs]) => untilMs > nowMs).map(([channel]) => channel)
      const except = [...lanes.keys(), ...paused]
      const [delivery] = await deliveries.claimDue({ nowMs, limit: 1, leaseMs: LEASE_MS, except })
      if (delivery === undefined) {
        const dueMs = await deliveries.nextDueMs(except)
        return dueMs === undefined || dueMs <= nowMs ? POLL_MS : Math.min(dueMs - nowMs, POLL_MS)
      }
      lanes.set(delivery.channel, runLane(delivery))
    }
    return 0
  }

  const loop = startPolling({
    turn,
    onError: (error) => log.warn({ err: error }, 'deliveries cannot be read; trying again'),
  })
  return {
    wake: () => loop.wake(),
    stop: async () => {
      await loop.stop()
      const grace = setTimeout(() => cutOff.abort(), STOP_GRACE_MS)
      await Promise.all(lanes.values())
      clearTimeout(grace)
    },
  }
}

/** Sends one message and stores what became of it. Resolves with the pause that the channel needs. */
async function deliver(parts: Delivering, delivery: ClaimedDelivery, cutOff: AbortSignal): Promise<number> {
  const { channels, clock } = parts
  const startedMs = clock.nowMs()
  const channel = channels().get(delivery.channel)
  const attempt = await tryToSend(delivery, channel, {
    names: [...channels().keys()],
    signal: AbortSignal.any([AbortSignal.timeout(parts.sendTimeoutMs ?? SEND_TIMEOUT_MS), cutOff]),
  })
  const outcome = outcomeOf(attempt, delivery, {
    nowMs: clock.nowMs(),
    jitter: (parts.random ?? Math.random)(),
  })
  await settle(parts, { delivery, outcome, durationMs: clock.nowMs() - startedMs })
  const askedMs =
    attempt.kind === 'failed' ? Math.min(attempt.error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0
  return Math.max(askedMs, channel?.minIntervalMs ?? 0)
}

type Attempt =
  | { readonly kind: 'sent'; readonly receipt: string }
  | { readonly kind: 'failed'; readonly error: DeliveryError }

async function tryToSend(
  delivery: ClaimedDelivery,
  channel: Channel | undefined,
  { names, signal }: { readonly names: readonly string[]; readonly signal: AbortSignal },
): Promise<Attempt> {
  if (channel === undefined) {
    const defined = names.length === 0 ? 'none is defined' : `defined: ${names.join(', ')}`
    const message = `the channel "${delivery.channel}" is not in the configuration any more (${defined})`
    return { kind: 'failed', error: new DeliveryError(message, { retryable: false }) }
  }
  try {
    const { receipt } = await Promise.race([channel.send(delivery.notification, signal), aborted(signal)])
    return { kind: 'sent', receipt }
  } catch (error) {
    if (error instanceof DeliveryError) return { kind: 'failed', error }
    // A fault of ours: what it says may hold anything, so only its kind is told.
    const kind = error instanceof Error ? error.name : typeof error
    return {
      kind: 'failed',
      error: new DeliveryError(`the channel failed with ${kind}`, { retryable: true }),
    }
  }
}

/** A channel that does not end when it is told to would hold up its lane for ever. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (): void => {
      // The channel's own words first: it hears the signal at the same moment.
      setImmediate(() => reject(new DeliveryError('the channel did not end in time', { retryable: true })))
    }
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

function outcomeOf(
  attempt: Attempt,
  delivery: ClaimedDelivery,
  { nowMs, jitter }: { readonly nowMs: number; readonly jitter: number },
): DeliveryOutcome {
  if (attempt.kind === 'sent') return { kind: 'delivered', receipt: attempt.receipt }
  const { message, retryable, retryAfterMs } = attempt.error
  if (!retryable) return { kind: 'failed', error: message }
  const tries = delivery.attempts + 1
  const delayMs = retryDelayMs(DELIVERY_SCHEDULE, { attempt: tries, jitter, retryAfterMs })
  if (delayMs === undefined) return { kind: 'failed', error: `given up after ${tries} tries: ${message}` }
  return { kind: 'retry', at: new Date(nowMs + delayMs), error: message }
}

/** Stores and tells the outcome. One that cannot be stored makes the message go out again when its lease ends. */
async function settle(parts: Delivering, report: DeliveryReport): Promise<void> {
  const { deliveries, clock, log, onOutcome } = parts
  const { delivery, outcome, durationMs } = report
  const fields = {
    deliveryId: delivery.id,
    channel: delivery.channel,
    type: delivery.type,
    alertId: delivery.notification.lead.id,
    attempt: delivery.attempts + 1,
    durationMs,
  }
  try {
    await storeFirmly(() => deliveries.settle(delivery.id, outcome, clock.nowMs()))
  } catch (error) {
    log.error(
      { ...fields, outcome: outcome.kind, err: error },
      'the outcome of a delivery could not be stored',
    )
    return
  }
  if (outcome.kind === 'delivered') log.info({ ...fields, receipt: outcome.receipt }, 'delivered')
  else if (outcome.kind === 'retry') {
    log.warn(
      { ...fields, error: outcome.error, retryAt: outcome.at },
      'delivery failed; it will be tried again',
    )
  } else log.error({ ...fields, error: outcome.error }, 'delivery failed for good')
  onOutcome?.(report)
}
