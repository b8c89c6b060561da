import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Finding } from '../detect/finding.ts'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import type { HaltCause, Revocation, RevocationStore } from '../store/revocation-store.ts'
import { SECOND_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { judgeWatched } from './judge-watched.ts'
import { haltNow } from './policy.ts'
import type { RevokeSettings } from './policy-settings.ts'

export interface Watching extends LoopStart {
  readonly revocations: RevocationStore
  readonly settings: () => RevokeSettings
  readonly clock: Clock
  readonly log: Logger
  /** Opens, or keeps open, the alert that a revoked key is still used. */
  readonly raise: (finding: Finding, key: KeyAttributes) => Promise<void>
  readonly onConfirmed?: (revocation: Revocation) => void
  readonly onNotEffective?: (revocation: Revocation) => void
  /** Something is due to be called. */
  readonly onDue?: () => void
}

const WATCH_MS = 5 * SECOND_MS
/** Looks after itself; an operator's halt is ended by an operator. */
const SELF_ENDING: readonly HaltCause[] = ['ingest_lag', 'many_keys']

/**
 * Watches what the policy has done: revoked keys until they are proven dead, and after; revocations that last for a time
 * until that is over; halts until their cause is gone. All replicas may run it: every step is safe to repeat.
 */
export function startWatching(parts: Watching): PollLoop {
  return startPolling({
    begins: parts.begins,
    turn: async () => {
      await watchKeys(parts)
      await endTimes(parts)
      await endHaltsThatAreOver(parts)
      return WATCH_MS
    },
    onError: (error) => parts.log.warn({ err: error }, 'revoked keys cannot be watched; trying again'),
  })
}

async function watchKeys(parts: Watching): Promise<void> {
  const { revocations, settings, clock, log } = parts
  const { grace } = settings()
  for (const watched of await revocations.watched({ graceMs: grace, nowMs: clock.nowMs() })) {
    const { id, keyId, key, round } = watched.revocation
    const verdict = judgeWatched(watched, settings(), clock.nowMs())
    switch (verdict.kind) {
      case 'wait':
        break
      case 'confirmed': {
        const confirmed = await revocations.confirm(id, { proof: verdict.proof, nowMs: clock.nowMs() })
        if (confirmed === undefined) break
        log.info({ revocationId: id, keyId, proof: verdict.proof }, 'a revocation is confirmed')
        parts.onConfirmed?.(confirmed)
        break
      }
      case 'not_effective': {
        // First the alert: who dies in between finds the same again, and raises it again.
        await parts.raise(verdict.finding, key)
        const { at, usedAt: stillUsedAt } = verdict
        const again = await revocations.callAgain(id, { at, stillUsedAt, nowMs: clock.nowMs() })
        if (again === undefined) break
        log.error({ revocationId: id, keyId, round, stillUsedAt, callAgainAt: at }, 'a revoked key is used')
        parts.onNotEffective?.(again)
        parts.onDue?.()
        break
      }
      default:
        verdict satisfies never
    }
  }
}

async function endTimes({ revocations, clock, log, onDue }: Watching): Promise<void> {
  const due = await revocations.restoreDue(clock.nowMs())
  for (const { id, keyId } of due) log.info({ revocationId: id, keyId }, 'the time of a revocation is over')
  if (due.length > 0) onDue?.()
}

async function endHaltsThatAreOver({ revocations, settings, clock, log }: Watching): Promise<void> {
  const open = (await revocations.halts()).filter(({ cause }) => SELF_ENDING.includes(cause))
  if (open.length === 0) return
  const nowMs = clock.nowMs()
  const fleet = await revocations.fleet(nowMs)
  if (haltNow(fleet, settings(), nowMs) !== undefined) return
  const ended = await revocations.resume(
    open.map(({ cause }) => cause),
    { actor: 'keyhound', nowMs },
  )
  for (const { cause } of ended) log.info({ cause }, 'revocations go on: the reason of the halt is gone')
}
