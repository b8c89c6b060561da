import { alertToJson } from '../alert/alert.ts'
import type { Clock } from '../clock.ts'
import { retryDelayMs, type RetrySchedule } from '../outbound/backoff.ts'
import type { Revocation, RevocationOutcome, RevocationStore } from '../store/revocation-store.ts'
import { MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { protectedBy } from './policy.ts'
import type { RevokeSettings } from './policy-settings.ts'
import { RevokerError, type Capabilities, type Revoker, type RevokerCall } from './revoker.ts'

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

export interface Calling {
  readonly revocations: Pick<RevocationStore, 'remember' | 'metadataOf' | 'halts'>
  /** Asked anew for each call, so that a reload of the configuration takes effect; undefined without an action for the key. */
  readonly revoker: (key: KeyAttributes) => Revoker | undefined
  readonly settings: () => RevokeSettings
  readonly clock: Clock
  /** From 0 up to 1, for the jitter of retries. */
  readonly random?: () => number
}

/** Carries out one claimed revocation or restore, and says what became of it. Never throws what a revoker throws. */
export async function callRevoker(parts: Calling, revocation: Revocation): Promise<RevocationOutcome> {
  const settings = parts.settings()
  const forbidden = forbiddenNow(revocation, settings) ?? (await haltedNow(parts, revocation))
  if (forbidden !== undefined) return forbidden
  const revoker = parts.revoker(revocation.key)
  if (revoker === undefined) {
    return {
      kind: 'failed',
      error:
        'the configuration has no revoke.action, so keyhound cannot call any gateway; nor has revoke.actions one for this key',
    }
  }
  const isRestore = revocation.state === 'restoring'
  const missing = missingCapability(revoker, isRestore)
  if (missing !== undefined) return { kind: 'failed', error: missing }
  try {
    const { receipt } = await call(parts, revoker, revocation)
    if (isRestore) return { kind: 'done', receipt }
    return { kind: 'done', receipt, means: revoker.means, restoreAt: restoreAtOf(parts, revoker, revocation) }
  } catch (error) {
    return failureOf(parts, revocation, error)
  }
}

/**
 * What forbids the call although it was decided: the configuration may have changed since, and a protected key is
 * never touched, by whoever's wish. Restoring is always allowed.
 */
function forbiddenNow(
  { keyId, state, actor, alert }: Revocation,
  settings: RevokeSettings,
): RevocationOutcome | undefined {
  if (state === 'restoring') return undefined
  const pattern = protectedBy(keyId, settings)
  if (pattern !== undefined) {
    return { kind: 'failed', error: `the key is protected by revoke.protect: "${pattern}"` }
  }
  // What a person approved or asked for carries that person's name.
  if (actor !== 'policy') return undefined
  if (settings.mode !== 'auto') {
    return {
      kind: 'failed',
      error: `it was decided when revoke.mode was auto, and now it is ${settings.mode}`,
    }
  }
  if (alert?.verdict === 'safe' || alert?.verdict === 'expected') {
    return { kind: 'withdrawn', error: `a person has judged the alert meanwhile: ${alert.verdict}` }
  }
  return undefined
}

/** An operator who halts means what is under way too. */
async function haltedNow(
  { revocations }: Calling,
  { state, actor }: Revocation,
): Promise<RevocationOutcome | undefined> {
  if (state === 'restoring' || actor !== 'policy') return undefined
  const halt = (await revocations.halts()).find(({ cause }) => cause === 'operator')
  if (halt === undefined) return undefined
  return {
    kind: 'withdrawn',
    error: `revocations were halted by ${halt.actor}: ${halt.reason}`,
    halt: 'operator',
  }
}

function missingCapability({ capabilities, means }: Revoker, isRestore: boolean): string | undefined {
  if (isRestore) return capabilities.restore ? undefined : 'the revoke.action cannot restore keys'
  const needed = means satisfies keyof Capabilities
  if (capabilities[needed]) return undefined
  return needed === 'delete'
    ? 'the revoke.action deletes keys for good, and does so only with irreversible: true'
    : 'the revoke.action cannot revoke keys'
}

async function call(
  { revocations, clock }: Calling,
  revoker: Revoker,
  revocation: Revocation,
): Promise<{ readonly receipt: string }> {
  const { id, keyId, reason, state, round, attempts, alert, createdAt, updatedAt } = revocation
  const isRestore = state === 'restoring'
  const request: RevokerCall = {
    requestId: requestId(id, round, isRestore),
    keyId,
    reason,
    at: isRestore ? updatedAt : createdAt,
    alert: alert === undefined ? undefined : alertToJson(alert),
    isRepeat: attempts > 0 || round > 1,
    memo: revocation.memo,
    metadata: (name) => revocations.metadataOf(keyId, name, clock.nowMs()),
  }
  const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
  if (isRestore) return revoker.restore(request, signal)
  if (revoker.remember === undefined || request.memo !== undefined) return revoker.revoke(request, signal)
  const memo = await revocations.remember(id, await revoker.remember(request, signal))
  return revoker.revoke({ ...request, memo }, signal)
}

/** A revocation, its undoing, and a call made anew because the key was still used are requests of their own. */
function requestId(id: string, round: number, isRestore: boolean): string {
  if (isRestore) return `${id}-restore`
  return round === 1 ? id : `${id}-${round}`
}

/** Only what the policy did itself ends by itself, and only the first time: a key that is abused again stays revoked. */
function restoreAtOf(
  { settings, clock }: Calling,
  { capabilities }: Revoker,
  { actor, strikes }: Revocation,
): Date | undefined {
  const afterMs = settings().restore_after
  if (afterMs === undefined || actor !== 'policy' || strikes > 0 || !capabilities.restore) return undefined
  return new Date(clock.nowMs() + afterMs)
}

function failureOf(
  { clock, random = Math.random }: Calling,
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
