import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { attempt } from '../notify/attempt.ts'
import type { Channel } from '../notify/channel.ts'
import { retryDelayMs, type RetrySchedule } from '../outbound/backoff.ts'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import type { ClaimedNotice, NoticeOutbox, NoticeOutcome } from '../store/self-alert-store.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'

/** What keyhound says about itself is tried for about a day. */
const SCHEDULE: RetrySchedule = [
  2 * SECOND_MS,
  10 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  ...Array.from({ length: 23 }, () => HOUR_MS),
]
const SEND_TIMEOUT_MS = 20 * SECOND_MS
/** A channel that took nothing so often is not waited for any longer: another one is told instead. */
const TRIES_BEFORE_OTHERS = 3
const POLL_MS = 2 * SECOND_MS
const SENDS_AT_ONCE = 4

export interface Telling extends LoopStart {
  /** The shared one, and the one of this process for when the database is away. */
  readonly outboxes: readonly NoticeOutbox[]
  /** By name; asked anew for each notice. */
  readonly channels: () => ReadonlyMap<string, Channel>
  readonly clock: Clock
  readonly log: Logger
  /** From 0 up to 1, for the jitter of retries. */
  readonly random?: () => number
}

/**
 * Sends the notices that are due, straight to the channels: no alert, no route, no incident is needed. An outbox that
 * cannot be read does not hold up the other.
 */
export function startTelling(parts: Telling): PollLoop {
  const { clock, log } = parts
  const sends = new Set<Promise<void>>()
  const cutOff = new AbortController()
  // A claim outlives its tries, of which there is one for each channel at the most.
  const leaseMs = (): number => (parts.channels().size + 1) * SEND_TIMEOUT_MS + 30 * SECOND_MS

  const sendFrom = async (outbox: NoticeOutbox, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted && sends.size < SENDS_AT_ONCE) {
      const claimed = await outbox.claim(clock.nowMs(), leaseMs())
      if (claimed === undefined) return
      const send = tell(parts, { outbox, claimed, cutOff: cutOff.signal })
        .catch((error: unknown) => log.error({ err: error }, 'a notice about keyhound itself broke off'))
        .finally(() => {
          sends.delete(send)
          loop.wake()
        })
      sends.add(send)
    }
  }
  const loop = startPolling({
    begins: parts.begins,
    turn: async (signal) => {
      for (const outbox of parts.outboxes) {
        // Away with the database: the self-watch says so itself.
        await sendFrom(outbox, signal).catch((error: unknown) =>
          log.debug({ err: error }, 'no notices can be read'),
        )
      }
      return POLL_MS
    },
    onError: (error) =>
      log.warn({ err: error }, 'notices about keyhound itself cannot be sent; trying again'),
  })
  return {
    wake: () => loop.wake(),
    stop: async () => {
      await loop.stop()
      const grace = setTimeout(() => cutOff.abort(), 5 * SECOND_MS)
      await Promise.all(sends)
      clearTimeout(grace)
    },
  }
}

async function tell(
  parts: Telling,
  {
    outbox,
    claimed,
    cutOff,
  }: { readonly outbox: NoticeOutbox; readonly claimed: ClaimedNotice; readonly cutOff: AbortSignal },
): Promise<void> {
  const { clock, log } = parts
  const outcome = await outcomeOf(parts, claimed, cutOff)
  const { topic, type } = claimed.notice
  const fields = {
    noticeId: claimed.id,
    topic,
    type,
    channel: claimed.channel,
    attempt: claimed.attempts + 1,
  }
  if (outcome.kind === 'delivered')
    log.info({ ...fields, receipt: outcome.receipt }, 'told about keyhound itself')
  else log.error({ ...fields, error: outcome.error }, 'a notice about keyhound itself was not taken')
  await outbox.settle(claimed.id, outcome, clock.nowMs())
}

async function outcomeOf(
  parts: Telling,
  claimed: ClaimedNotice,
  cutOff: AbortSignal,
): Promise<NoticeOutcome> {
  const tries = claimed.attempts + 1
  const errors: string[] = []
  for (const [name, channel] of channelsFor(parts.channels(), claimed)) {
    const signal = AbortSignal.any([AbortSignal.timeout(SEND_TIMEOUT_MS), cutOff])
    const tried = await attempt(() => channel.tell(claimed.notice, signal), signal)
    if (tried.kind === 'sent') return { kind: 'delivered', receipt: `${name}: ${tried.receipt}` }
    errors.push(`${name}: ${tried.error.message}`)
  }
  const error = errors.length === 0 ? 'no channel is configured' : errors.join('; ')
  const delayMs = retryDelayMs(SCHEDULE, { attempt: tries, jitter: (parts.random ?? Math.random)() })
  if (delayMs === undefined) return { kind: 'failed', error: `given up after ${tries} tries: ${error}` }
  return { kind: 'retry', at: new Date(parts.clock.nowMs() + delayMs), error }
}

/** The channel that is meant, then, once it has failed often enough or is gone, every other one, in their order. */
function channelsFor(
  channels: ReadonlyMap<string, Channel>,
  { channel: name, attempts }: ClaimedNotice,
): (readonly [string, Channel])[] {
  const meant = name === undefined ? undefined : channels.get(name)
  if (name === undefined || meant === undefined) return [...channels]
  const others = attempts + 1 >= TRIES_BEFORE_OTHERS ? [...channels].filter(([other]) => other !== name) : []
  return [[name, meant], ...others]
}
