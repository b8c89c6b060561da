import type { Finding } from '../detect/finding.ts'
import { RESPONSE_ALERT } from '../detect/finding.ts'
import type { WatchedKey } from '../store/revocation-store.ts'
import { formatDuration, MINUTE_MS } from '../usage/duration.ts'
import type { RevokeSettings } from './policy-settings.ts'

/** What a revoked key's use since then means. */
export type WatchVerdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'confirmed'; readonly proof: string }
  /** The key is still used: `at` is when to call again, `finding` what to tell. */
  | { readonly kind: 'not_effective'; readonly at: Date; readonly usedAt: Date; readonly finding: Finding }

/** Pauses before the second call, the third, and so on; the last one for all that follow. */
const AGAIN_MS = [0, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 15 * MINUTE_MS]

/**
 * Judges a key that should be dead since `effectiveFrom` plus the grace period. A success after that is proof that it is
 * not. Silence is proof only as far as the stream is known: up to the newest request of any other key; being turned
 * away is proof by itself. Pure.
 */
export function judgeWatched(
  watched: WatchedKey,
  settings: Pick<RevokeSettings, 'grace' | 'confirm_after'>,
  nowMs: number,
): WatchVerdict {
  const { revocation, effectiveFrom, lastSuccessAt, refusals, newestUsageAt } = watched
  // A success that was seen before the call was made anew says nothing about the new call.
  if (lastSuccessAt !== undefined) {
    const pauseMs = AGAIN_MS[Math.min(revocation.round, AGAIN_MS.length) - 1] ?? 0
    return {
      kind: 'not_effective',
      at: new Date(nowMs + pauseMs),
      usedAt: lastSuccessAt,
      finding: findingOf(watched, settings, lastSuccessAt),
    }
  }
  if (revocation.state === 'confirmed') return { kind: 'wait' }
  const provenFromMs = effectiveFrom.getTime() + settings.grace + settings.confirm_after
  if (nowMs < provenFromMs) return { kind: 'wait' }
  if (refusals > 0) {
    return { kind: 'confirmed', proof: `turned away ${refusals} times, and no request succeeded` }
  }
  if (newestUsageAt !== undefined && newestUsageAt.getTime() >= provenFromMs) {
    return {
      kind: 'confirmed',
      proof: `silent for ${formatDuration(settings.confirm_after)} while other keys were used`,
    }
  }
  return { kind: 'wait' }
}

function findingOf(
  { revocation, effectiveFrom, successes, firstSuccessAt }: WatchedKey,
  { grace }: Pick<RevokeSettings, 'grace'>,
  lastSuccessAt: Date,
): Finding {
  const { keyId, round } = revocation
  const first = firstSuccessAt ?? lastSuccessAt
  return {
    detector: RESPONSE_ALERT,
    keyId,
    scope: '',
    severity: 'critical',
    summary: `${keyId} is STILL USED although it was revoked at ${effectiveFrom.toISOString()}: ${successes} successful ${successes === 1 ? 'request' : 'requests'} since ${first.toISOString()}; revoke not effective, the gateway is called again (round ${round + 1})`,
    evidence: {
      metric: 'successful_requests',
      observed: successes,
      expected: 0,
      window: { start: first.toISOString(), end: lastSuccessAt.toISOString() },
      history: { days: 0, events: 0 },
      setting: `revoke.grace: ${formatDuration(grace)}`,
      revocation_id: revocation.id,
      round,
    },
  }
}
