import type { Alert } from '../alert/alert.ts'
import type { KeyAttributes } from '../usage/event.ts'

export const REVOCATION_STATES = [
  'dry_run', // would have been revoked; nothing was or will be called
  'refused', // the policy forbids it: protected key, cap reached
  'proposed', // waits for a person
  'pending', // is to be called, or called again
  'revoked',
  'failed', // no further try will be made
  'restoring',
  'restored',
] as const
export type RevocationState = (typeof REVOCATION_STATES)[number]

/** One decision about revoking one key, and what became of it. Append-only but for its state; changes are in the audit. */
export interface Revocation {
  readonly id: string
  readonly keyId: string
  readonly alert: Alert | undefined
  readonly incidentId: string | undefined
  readonly state: RevocationState
  /** Why: the policy's words, or the operator's. */
  readonly reason: string
  /** `policy` or the name of a person or token. */
  readonly actor: string
  readonly attempts: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly lastError: string | undefined
}

/** What the policy decides on, read under a lock in the transaction that writes its decision. */
export interface PolicyFacts {
  readonly alert: Alert
  readonly key: KeyAttributes
  readonly nowMs: number
  /** Revocations by the policy in the hour before `nowMs` (pending, revoked, failed). */
  readonly revokedLastHour: number
  /** The newest revocation of this key that still stands (proposed, pending, revoked), if any. */
  readonly standing: RevocationState | undefined
}

export type PolicyDecision =
  | { readonly kind: 'none' }
  | { readonly kind: 'dry_run' | 'refused' | 'proposed' | 'pending'; readonly reason: string }

export interface RevocationStore {
  /**
   * Lets `decide` judge every open alert whose severity it has not judged yet, one after the other under a lock that all
   * replicas share, and writes each decision. Deliveries of an alert wait for this.
   */
  decideDue(decide: (facts: PolicyFacts) => PolicyDecision, nowMs: number): Promise<Revocation[]>
  /** Claims revocations in state pending or restoring that are due, for `leaseMs`. */
  claimDue(claim: {
    readonly nowMs: number
    readonly limit: number
    readonly leaseMs: number
  }): Promise<Revocation[]>
  /** Writes the outcome, its audit line and, for the incident's channels, the delivery that tells it. */
  settle(
    id: string,
    outcome:
      | { readonly kind: 'done'; readonly receipt: string }
      | { readonly kind: 'retry'; readonly at: Date; readonly error: string }
      | { readonly kind: 'failed'; readonly error: string },
    nowMs: number,
  ): Promise<void>
  /** An operator's wish: a new pending revocation, or the approval of a proposed one. Safe to repeat: a standing one is returned. */
  requestRevoke(wish: OperatorWish): Promise<Revocation>
  /** An operator's wish: makes the newest standing revocation of the key `restoring`; one is made when there is none. */
  requestRestore(wish: OperatorWish): Promise<Revocation>
  forKey(keyId: string, limit: number): Promise<Revocation[]>
}

export interface OperatorWish {
  readonly keyId: string
  readonly reason: string
  readonly actor: string
  readonly nowMs: number
}
