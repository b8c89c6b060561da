import { CONTAINMENT_STAGES, containmentMs, type Containment } from '../alert/containment.ts'
import { SECOND_MS } from '../usage/duration.ts'
import type { Halt, LedgerEntry, Revocation } from './revocation-store.ts'

/** A revocation for HTTP answers and `--format json`. */
export function revocationToJson(revocation: Revocation): Record<string, unknown> {
  const { containment } = revocation
  return {
    id: revocation.id,
    key_id: revocation.keyId,
    state: revocation.state,
    reason: revocation.reason,
    actor: revocation.actor,
    alert_id: revocation.alert?.id ?? null,
    means: revocation.means ?? null,
    round: revocation.round,
    attempts: revocation.attempts,
    strikes: revocation.strikes,
    created_at: revocation.createdAt.toISOString(),
    updated_at: revocation.updatedAt.toISOString(),
    revoked_at: containment.revokedAt?.toISOString() ?? null,
    confirmed_at: containment.confirmedAt?.toISOString() ?? null,
    still_used_at: revocation.stillUsedAt?.toISOString() ?? null,
    restore_at: revocation.restoreAt?.toISOString() ?? null,
    seconds_from_first_abuse: secondsFromFirstAbuse(containment),
    last_error: revocation.lastError ?? null,
  }
}

function secondsFromFirstAbuse(containment: Containment): Record<string, number | null> {
  return Object.fromEntries(
    CONTAINMENT_STAGES.map((stage) => {
      const ms = containmentMs(containment, stage)
      return [stage, ms === undefined ? null : ms / SECOND_MS]
    }),
  )
}

/** One key of the dry-run ledger. */
export function ledgerToJson(entry: LedgerEntry): Record<string, unknown> {
  return {
    key_id: entry.keyId,
    state: entry.state,
    first_at: entry.firstAt.toISOString(),
    decisions: entry.decisions,
    reason: entry.reason,
    alert_id: entry.alert?.id ?? null,
    detector: entry.alert?.detector ?? null,
    verdict: entry.verdict ?? null,
  }
}

export function haltToJson(halt: Halt): Record<string, unknown> {
  return {
    id: halt.id,
    cause: halt.cause,
    reason: halt.reason,
    actor: halt.actor,
    started_at: halt.startedAt.toISOString(),
  }
}
