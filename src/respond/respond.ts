import type { Logger } from 'pino'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import { storeFirmly } from '../outbound/store-firmly.ts'
import type { Revocation, RevocationOutcome, RevocationStore } from '../store/revocation-store.ts'
import { SECOND_MS } from '../usage/duration.ts'
import { CALL_TIMEOUT_MS, callRevoker, type Calling } from './call-revoker.ts'
import { decide } from './policy.ts'

/** A claim outlives its call and the writing of its outcome. */
export const LEASE_MS = CALL_TIMEOUT_MS + 30 * SECOND_MS
const POLL_MS = SECOND_MS
const CALLS_AT_ONCE = 4

export interface Responding extends Calling, LoopStart {
  readonly revocations: RevocationStore
  readonly log: Logger
  /** Alerts have been judged, and that made these revocations, if any; deliveries that waited for it may go. */
  readonly onDecided?: (decided: readonly Revocation[]) => void
  /** A call has ended and its outcome, which may have deliveries of its own, is stored. `revocation` is as it was called. */
  readonly onOutcome?: (
    revocation: Revocation,
    outcome: RevocationOutcome,
    settled: Revocation | undefined,
  ) => void
}

/**
 * Decides about open alerts and carries out what is pending, in two loops, so that a gateway that does not answer
 * holds up no decision. All state is in the store: after a crash a call is repeated with the same request id.
 */
export function startResponding(parts: Responding): PollLoop {
  const deciding = startPolling({
    begins: parts.begins,
    turn: async () => {
      let judged = 0
      const decided = await parts.revocations.decideDue((facts) => {
        judged += 1
        return decide(facts, parts.settings())
      }, parts.clock.nowMs())
      for (const { id, keyId, state, reason } of decided) {
        parts.log.info({ revocationId: id, keyId, state, reason }, 'decided about a key')
      }
      if (decided.some(({ state }) => state === 'pending')) acting.wake()
      if (judged > 0) parts.onDecided?.(decided)
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
    begins: parts.begins,
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
  const outcome = await callRevoker(parts, revocation)
  let settled: Revocation | undefined
  await storeFirmly(async () => {
    settled = await revocations.settle(revocation.id, outcome, clock.nowMs())
  })
  const { id, keyId, state, attempts } = revocation
  const fields = { revocationId: id, keyId, state, attempt: attempts + 1 }
  switch (outcome.kind) {
    case 'done':
      log.info({ ...fields, receipt: outcome.receipt }, 'the gateway has done it')
      break
    case 'retry':
      log.warn(
        { ...fields, error: outcome.error, retryAt: outcome.at },
        'the gateway has not done it; trying again',
      )
      break
    case 'failed':
      log.error({ ...fields, error: outcome.error }, 'the gateway has not done it; giving up')
      break
    case 'withdrawn':
      log.info({ ...fields, reason: outcome.error }, 'a revocation was withdrawn before it was called')
      break
    default:
      outcome satisfies never
  }
  parts.onOutcome?.(revocation, outcome, settled)
}
