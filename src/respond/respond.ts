import type { Logger } from 'pino'
import { alertToJson } from '../alert/alert.ts'
import type { Clock } from '../clock.ts'
import { retryDelayMs, type RetrySchedule } from '../outbound/backoff.ts'
import { startPolling, type PollLoop } from '../outbound/poll-loop.ts'
import { storeFirmly } from '../outbound/store-firmly.ts'
import type { Revocation, RevocationStore } from '../store/revocation-store.ts'
import { MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import { decide, protectedBy, type RevokeSettings } from './policy.ts'
import { RevokerError, type Revoker } from './revoker.ts'

/** A thief is at work: quickly at first, then every minute for half an hour, then people are told that it failed. */
export const REVOCATION_SCHEDULE: RetrySchedule = [
  SECOND_MS,
  2 * SECOND_MS,
  5 * SECOND_MS,
  10 * SECOND_MS,
  30 * SECOND_MS,
  ...Array.from({ length: 29 }, () => MINUTE_MS),
]

export const CALL_TIMEOUT_MS = 15 * SECOND_MS
/** A claim outlives its call and the writing of its outcome. */
export const LEASE_MS = CALL_TIMEOUT_MS + 30 * SECOND_MS
const POLL_MS = SECOND_MS
const CALLS_AT_ONCE = 4

export type RevocationOutcome = Parameters<RevocationStore['settle']>[1]

export interface Responding {
  readonly revocations: RevocationStore
  /** Asked anew for each call, so that a reload of the configuration takes effect; undefined without `revoke.action`. */
  readonly revoker: () => Revoker | undefined
  readonly settings: () => RevokeSettings
  readonly clock: Clock
  readonly log: Logger
  /** Alerts have been judged, and it made revocations of some kind; deliveries that waited for it may go. */
  readonly onDecided?: (decided: readonly Revocation[]) => void
  /** A call has ended and its outcome, which may have deliveries of its own, is stored. */
  readonly onOutcome?: (revocation: Revocation, outcome: RevocationOutcome) => void
  /** From 0 up to 1, for the jitter of retries. */
  readonly random?: () => number
}

/**
 * Decides about open alerts and carries out what is pending, in two loops, so that a gateway that does not answer
 * holds up no decision. All state is in the store: after a crash a call is repeated with the same request id.
 */
export function startResponding(parts: Responding): PollLoop {
  const deciding = startPolling({
    turn: async () => {
      const decided = await parts.revocations.decideDue(
        (facts) => decide(facts, parts.settings()),
        parts.clock.nowMs(),
      )
      for (const { id, keyId, state, reason } of decided) {
        parts.log.info({ revocationId: id, keyId, state, reason }, 'decided about a key')
      }
      if (decided.some(({ state }) => state === 'pending')) acting.wake()
      if (decided.length > 0) parts.onDecided?.(decided)
      return POLL_MS
    },
    onError: (error) => parts.log.warn({ err: error }, 'alerts cannot be judged; trying again'),
  })
  const acting = startActing(parts)
  return {
    wake: () => {
      deciding.wake()
      acting.wake()
    },
    stop: async () => {
      await Promise.all([deciding.stop(), acting.stop()])
    },
  }
}

/** Calls the gateway for what is pending or restoring, a few keys at a time; decides nothing. */
export function startActing(parts: Responding): PollLoop {
  const { revocations, clock, log } = parts
  const calls = new Set<Promise<void>>()
  const run = async (revocation: Revocation): Promise<void> => {
    try {
      await act(parts, revocation)
    } catch (error) {
      log.error(
        { revocationId: revocation.id, keyId: revocation.keyId, err: error },
        'a revocation broke off',
      )
    }
  }
  const turn = async (signal: AbortSignal): Promise<number> => {
    while (!signal.aborted && calls.size < CALLS_AT_ONCE) {
      const limit = CALLS_AT_ONCE - calls.size
      const claimed = await revocations.claimDue({ nowMs: clock.nowMs(), limit, leaseMs: LEASE_MS })
      if (claimed.length === 0) break
      for (const revocation of claimed) {
        const call = run(revocation).finally(() => {
          calls.delete(call)
          loop.wake()
        })
        calls.add(call)
      }
    }
    return POLL_MS
  }
  const loop = startPolling({
    turn,
    onError: (error) => log.warn({ err: error }, 'revocations cannot be read; trying again'),
  })
  return {
    wake: () => loop.wake(),
    stop: async () => {
      await loop.stop()
      // Not cut off: a revocation that is under way is finished, CALL_TIMEOUT_MS at most.
      await Promise.all(calls)
    },
  }
}

async function act(parts: Responding, revocation: Revocation): Promise<void> {
  const { revocations, clock, log } = parts
  const outcome = await outcomeOf(parts, revocation)
  await storeFirmly(() => revocations.settle(revocation.id, outcome, clock.nowMs()))
  const { id, keyId, state, attempts } = revocation
  const fields = { revocationId: id, keyId, state, attempt: attempts + 1 }
  if (outcome.kind === 'done') log.info({ ...fields, receipt: outcome.receipt }, 'the gateway has done it')
  else if (outcome.kind === 'retry') {
    log.warn(
      { ...fields, error: outcome.error, retryAt: outcome.at },
      'the gateway has not done it; trying again',
    )
  } else log.error({ ...fields, error: outcome.error }, 'the gateway has not done it; giving up')
  parts.onOutcome?.(revocation, outcome)
}

async function outcomeOf(parts: Responding, revocation: Revocation): Promise<RevocationOutcome> {
  const forbidden = forbiddenNow(revocation, parts.settings())
  if (forbidden !== undefined) return { kind: 'failed', error: forbidden }
  const revoker = parts.revoker()
  if (revoker === undefined) {
    return {
      kind: 'failed',
      error: 'the configuration has no revoke.action, so keyhound cannot call any gateway',
    }
  }
  const restoring = revocation.state === 'restoring'
  if (restoring ? !revoker.capabilities.restore : !revoker.capabilities.disable) {
    return { kind: 'failed', error: `the revoke.action cannot ${restoring ? 'restore' : 'revoke'} keys` }
  }
  try {
    const { receipt } = await call(revoker, revocation)
    return { kind: 'done', receipt }
  } catch (error) {
    return failureOf(parts, revocation, error)
  }
}

/**
 * What forbids the call although it was decided: the configuration may have changed since, and a protected key is
 * never touched, by whoever's wish. Restoring is always allowed.
 */
function forbiddenNow({ keyId, state, actor }: Revocation, settings: RevokeSettings): string | undefined {
  if (state === 'restoring') return undefined
  const pattern = protectedBy(keyId, settings)
  if (pattern !== undefined) return `the key is protected by revoke.protect: "${pattern}"`
  // What a person approved or asked for carries that person's name.
  if (actor === 'policy' && settings.mode !== 'auto') {
    return `it was decided when revoke.mode was auto, and now it is ${settings.mode}`
  }
  return undefined
}

async function call(
  revoker: Revoker,
  { id, keyId, reason, state, alert, createdAt, updatedAt }: Revocation,
): Promise<{ readonly receipt: string }> {
  const restoring = state === 'restoring'
  const request = {
    // A revocation and its undoing are two requests to the gateway.
    requestId: restoring ? `${id}-restore` : id,
    keyId,
    reason,
    at: restoring ? updatedAt : createdAt,
    alert: alert === undefined ? undefined : alertToJson(alert),
  }
  const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
  return restoring ? revoker.restore(request, signal) : revoker.disable(request, signal)
}

function failureOf(
  { clock, random = Math.random }: Responding,
  { attempts }: Revocation,
  error: unknown,
): RevocationOutcome {
  // Of an error that is not the revoker's own, only the kind is told: what it says may hold anything.
  const kind = error instanceof Error ? error.name : typeof error
  const failure =
    error instanceof RevokerError
      ? error
      : new RevokerError(`the revoker failed with ${kind}`, { retryable: true })
  if (!failure.retryable) return { kind: 'failed', error: failure.message }
  const attempt = attempts + 1
  const { retryAfterMs } = failure
  const delayMs = retryDelayMs(REVOCATION_SCHEDULE, { attempt, jitter: random(), retryAfterMs })
  if (delayMs === undefined)
    return { kind: 'failed', error: `given up after ${attempt} tries: ${failure.message}` }
  return { kind: 'retry', at: new Date(clock.nowMs() + delayMs), error: failure.message }
}
