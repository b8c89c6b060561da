import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { MAX_RETRY_AFTER_MS, retryDelayMs, type RetrySchedule } from '../outbound/backoff.ts'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import { storeFirmly } from '../outbound/store-firmly.ts'
import type { ChannelStateStore } from '../store/channel-state-store.ts'
import type { ClaimedDelivery, DeliveryOutcome, DeliveryStore, Pace } from '../store/delivery-store.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import type { Channel } from './channel.ts'
import { noteAttempt } from './note-attempt.ts'
import { SEND_TIMEOUT_MS } from './send-timeout.ts'
import { tryToSend, type SendAttempt } from './try-to-send.ts'

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

/**
 * A message of a sender that was killed is sent by another one after so long. While a sender lives it renews its claim,
 * so the lease outlives the time between two renewals and the writing of the outcome, not a whole try.
 */
export const LEASE_MS = 20 * SECOND_MS
export const RENEW_MS = 5 * SECOND_MS
/** How soon deliveries that other processes wrote are seen. */
const POLL_MS = SECOND_MS
/** A message that is cut off may arrive all the same and then arrives twice, so the sender may finish. */
const STOP_GRACE_MS = 5 * SECOND_MS
/**
 * Three messages can go out in as many seconds; more of them become one. A hundred are told at once: each is read anew,
 * and what is listed by name are ten.
 */
const TOGETHER = { from: 4, max: 100 }

/** What became of one try of one message; told after it has been stored. */
export interface DeliveryReport {
  readonly delivery: ClaimedDelivery
  readonly outcome: DeliveryOutcome
  readonly durationMs: number
  /** How many messages went out as one; 1 when it went alone. */
  readonly together: number
}

export interface Delivering extends LoopStart {
  readonly deliveries: DeliveryStore
  readonly states: ChannelStateStore
  /** By name; asked anew for each message, so that a reload of the configuration takes effect. */
  readonly channels: () => ReadonlyMap<string, Channel>
  readonly clock: Clock
  readonly log: Logger
  readonly onOutcome?: (report: DeliveryReport) => void
  /** Something failed for good, or a channel broke or works again: others have to be told. */
  readonly onTrouble?: () => void
  /** From 0 up to 1, for the jitter of retries. */
  readonly random?: () => number
  /** Default SEND_TIMEOUT_MS. */
  readonly sendTimeoutMs?: number
}

/**
 * Sends what is due in the outbox: channels side by side, each one message at a time, at the channel's pace, which all
 * replicas share. When more wait than the pace lets through, they become one message. All state is in the store: after a
 * crash another sender takes over when the lease ends, with the same ids. `stop` claims nothing more, gives what is
 * being sent STOP_GRACE_MS to end, then cancels it: it will be tried again.
 */
export function startDelivering(parts: Delivering): PollLoop {
  const { deliveries, channels, clock, log } = parts
  const lanes = new Map<string, Promise<void>>()
  const cutOff = new AbortController()

  const runLane = async (claimed: readonly [ClaimedDelivery, ...ClaimedDelivery[]]): Promise<void> => {
    const [{ id, channel }] = claimed
    const renewal = setInterval(() => void renew(parts, claimed), RENEW_MS)
    try {
      await deliver(parts, claimed, cutOff.signal)
    } catch (error) {
      log.error({ deliveryId: id, channel, err: error }, 'a delivery broke off')
    } finally {
      clearInterval(renewal)
      lanes.delete(channel)
      loop.wake()
    }
  }

  const turn = async (signal: AbortSignal): Promise<number> => {
    while (!signal.aborted) {
      const nowMs = clock.nowMs()
      const except = [...lanes.keys()]
      const pace = (name: string): Pace | undefined => paceOf(channels().get(name))
      const [first, ...rest] = await deliveries.claimDue({ nowMs, limit: 1, leaseMs: LEASE_MS, except, pace })
      if (first === undefined) {
        const dueMs = await deliveries.nextDueMs(except)
        return dueMs === undefined || dueMs <= nowMs ? POLL_MS : Math.min(dueMs - nowMs, POLL_MS)
      }
      lanes.set(first.channel, runLane([first, ...rest]))
    }
    return 0
  }

  const loop = startPolling({
    begins: parts.begins,
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

function paceOf(channel: Channel | undefined): Pace | undefined {
  if (channel?.minIntervalMs === undefined) return undefined
  return {
    intervalMs: channel.minIntervalMs,
    ...(channel.sendTogether === undefined ? {} : { together: TOGETHER }),
  }
}

/** Sends one claim and stores what became of its messages and of the channel. */
async function deliver(
  parts: Delivering,
  claimed: readonly [ClaimedDelivery, ...ClaimedDelivery[]],
  cutOff: AbortSignal,
): Promise<void> {
  const { channels, clock } = parts
  const startedMs = clock.nowMs()
  const [{ channel }] = claimed
  const attempt = await tryToSend(claimed, channels().get(channel), {
    names: [...channels().keys()],
    signal: AbortSignal.any([AbortSignal.timeout(parts.sendTimeoutMs ?? SEND_TIMEOUT_MS), cutOff]),
  })
  // The pause first: a message that is due again must find the channel closed.
  const troubled = await noteAttempt(parts, {
    channel,
    attempt,
    wasStopped: cutOff.aborted,
    intervalMs: channels().get(channel)?.minIntervalMs ?? 0,
  })
  const durationMs = clock.nowMs() - startedMs
  for (const delivery of claimed) {
    const outcome = outcomeOf(attempt, delivery, {
      nowMs: clock.nowMs(),
      jitter: (parts.random ?? Math.random)(),
    })
    await settle(parts, { delivery, outcome, durationMs, together: claimed.length })
  }
  if (troubled || (attempt.kind !== 'sent' && !attempt.error.retryable)) parts.onTrouble?.()
}

/** The claim is renewed again soon: what fails once is no reason to break off. */
async function renew(
  { deliveries, clock, log }: Delivering,
  claimed: readonly ClaimedDelivery[],
): Promise<void> {
  const ids = claimed.map(({ id }) => id)
  try {
    await deliveries.renew(ids, clock.nowMs() + LEASE_MS)
  } catch (error) {
    log.debug({ deliveryIds: ids, err: error }, 'a claim could not be renewed')
  }
}

function outcomeOf(
  attempt: SendAttempt,
  delivery: ClaimedDelivery,
  { nowMs, jitter }: { readonly nowMs: number; readonly jitter: number },
): DeliveryOutcome {
  if (attempt.kind === 'sent') return { kind: 'delivered', receipt: attempt.receipt, ref: attempt.ref }
  const { message, retryable, retryAfterMs } = attempt.error
  if (!retryable) return { kind: 'failed', error: message }
  const tries = delivery.attempts + 1
  const delayMs = retryDelayMs(DELIVERY_SCHEDULE, { attempt: tries, jitter, retryAfterMs })
  if (delayMs === undefined) return { kind: 'failed', error: `given up after ${tries} tries: ${message}` }
  return { kind: 'retry', at: new Date(nowMs + Math.min(delayMs, MAX_RETRY_AFTER_MS)), error: message }
}

/** Stores and tells the outcome. One that cannot be stored makes the message go out again when its lease ends. */
async function settle(parts: Delivering, report: DeliveryReport): Promise<void> {
  const { deliveries, clock, log, onOutcome } = parts
  const { delivery, outcome, durationMs, together } = report
  const fields = {
    deliveryId: delivery.id,
    channel: delivery.channel,
    type: delivery.type,
    alertId: delivery.notification.lead.id,
    attempt: delivery.attempts + 1,
    durationMs,
    ...(together === 1 ? {} : { together }),
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
