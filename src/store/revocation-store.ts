import type { Alert } from '../alert/alert.ts'
import type { Containment } from '../alert/containment.ts'
import type { KeyAttributes } from '../usage/event.ts'

export const REVOCATION_STATES = [
  'dry_run', // would have been revoked; nothing was or will be called
  'refused', // the policy forbids it: protected key, cap reached, halted
  'proposed', // waits for a person
  'pending', // is to be called, or called again
  'revoked', // the other side says that it was done; the key is watched
  'confirmed', // and nobody uses the key any more
  'failed', // no further try will be made
  'restoring',
  'restored',
] as const
export type RevocationState = (typeof REVOCATION_STATES)[number]

/** What a revocation does to the key: switches it off, slows it down, or removes it for good. */
export type RevocationMeans = 'disable' | 'throttle' | 'delete'

/** One decision about revoking one key, and what became of it. Append-only but for its state; changes are in the audit. */
export interface Revocation {
  readonly id: string
  readonly keyId: string
  /** Attributes of the key, for settings that differ by them. */
  readonly key: KeyAttributes
  readonly alert: Alert | undefined
  readonly incidentId: string | undefined
  readonly state: RevocationState
  /** Why: the policy's words, or the operator's. */
  readonly reason: string
  /** `policy` or the name of a person or token. */
  readonly actor: string
  /** Undefined until the other side said that it was done. */
  readonly means: RevocationMeans | undefined
  /** 1, and one more each time the key was still used and the call is made anew, as a request of its own. */
  readonly round: number
  readonly attempts: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly containment: Containment
  /** The newest successful request after the key should have been dead; undefined when there was none. */
  readonly stillUsedAt: Date | undefined
  /** When it is undone by itself; undefined when it is not. */
  readonly restoreAt: Date | undefined
  /** How often the key had been revoked and restored before. */
  readonly strikes: number
  /** What the revoker must know to undo it. */
  readonly memo: string | undefined
  readonly lastError: string | undefined
}

export const HALT_CAUSES = ['operator', 'ingest_lag', 'many_keys'] as const
export type HaltCause = (typeof HALT_CAUSES)[number]

/** A time in which the policy revokes nothing by itself. */
export interface Halt {
  readonly id: string
  readonly cause: HaltCause
  readonly reason: string
  readonly actor: string
  readonly startedAt: Date
  readonly endedAt: Date | undefined
  readonly endedBy: string | undefined
}

/** What is true of all keys at the time of a decision. */
export interface FleetFacts {
  /** Keys that were used in the last day. */
  readonly activeKeys: number
  /** Keys with an alert of each severity or worse that was opened in the last FIRING_MS. */
  readonly firingKeys: Readonly<Record<Alert['severity'], number>>
  /** The newest request of any key that is stored; undefined when there is none. */
  readonly newestUsageAt: Date | undefined
  readonly halts: readonly Halt[]
}

/** What the policy decides on, read under a lock in the transaction that writes its decision. */
export interface PolicyFacts {
  readonly alert: Alert
  /** All open alerts of the key, `alert` among them. */
  readonly openAlerts: readonly Alert[]
  readonly key: KeyAttributes
  /** Undefined when no request of the key is known. */
  readonly firstSeenAt: Date | undefined
  /** How long a time the key's habits were learnt from; undefined when nothing was learnt. */
  readonly learntMs: number | undefined
  readonly nowMs: number
  readonly fleet: FleetFacts
  /** Revocations by the policy in the hour before `nowMs` (pending, revoked, failed). */
  readonly revokedLastHour: number
  /** Keys that it would have revoked in that hour, had it been allowed to. */
  readonly wouldRevokeLastHour: number
  /** The newest revocation of this key that still stands (proposed, pending, revoked), if any. */
  readonly standing: RevocationState | undefined
  /** True when the key would have been revoked earlier in the same incident. */
  readonly wouldStand: boolean
  readonly strikes: Strikes | undefined
}

/** The memory of a key that was revoked and given back. */
export interface Strikes {
  readonly count: number
  readonly lastRestoredAt: Date
  readonly lastRestoredBy: string
}

export type PolicyDecision =
  | { readonly kind: 'none' }
  | { readonly kind: 'dry_run' | 'proposed' | 'pending'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string; readonly halt?: Pick<Halt, 'cause' | 'reason'> }

/** How long ago an alert may have been opened for its key to count as firing now. */
export const FIRING_MS = 10 * 60_000

export type RevocationOutcome =
  | {
      readonly kind: 'done'
      readonly receipt: string
      readonly means?: RevocationMeans | undefined
      /** When it is to be undone by itself. */
      readonly restoreAt?: Date | undefined
    }
  | { readonly kind: 'retry'; readonly at: Date; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string }
  /** Not done: a person judged the alert harmless meanwhile, or halted revocations; what a halt stopped is judged anew after it. */
  | { readonly kind: 'withdrawn'; readonly error: string; readonly halt?: HaltCause | undefined }

/** What the watch over a revoked key is told. */
export interface WatchedKey {
  readonly revocation: Revocation
  /** When the other side last said that it was done; the grace period begins here. */
  readonly effectiveFrom: Date
  /** Successful requests that were made after the grace period. */
  readonly successes: number
  readonly firstSuccessAt: Date | undefined
  readonly lastSuccessAt: Date | undefined
  /** Refused ones: the other side turns the key away. */
  readonly refusals: number
  /** The newest request of any other key that is stored: while nothing arrives, silence proves nothing. */
  readonly newestUsageAt: Date | undefined
}

/** One line of the dry-run ledger: a key, and what would have been done about it. */
export interface LedgerEntry {
  readonly keyId: string
  readonly state: 'dry_run' | 'refused' | 'proposed' | 'revoked'
  readonly firstAt: Date
  readonly decisions: number
  readonly reason: string
  readonly alert: Alert | undefined
  /** What people said of the alerts that led to it: the worst verdict; undefined when nobody said anything. */
  readonly verdict: 'compromised' | 'expected' | 'safe' | undefined
}

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
  /** Keeps what the revoker must know to undo it; the first memo stays. Resolves with the one that is kept. */
  remember(id: string, memo: string): Promise<string>
  /** Writes the outcome, its audit line and, for the incident's channels, the delivery that tells it. */
  settle(id: string, outcome: RevocationOutcome, nowMs: number): Promise<Revocation | undefined>
  /** The value of `name` in the metadata of the key's newest usage event that has it, of the last month. */
  metadataOf(keyId: string, name: string, nowMs: number): Promise<string | undefined>
  /** Standing revocations whose grace period is over, with what the key did since. */
  watched(range: { readonly graceMs: number; readonly nowMs: number }): Promise<WatchedKey[]>
  /** The key was silent or turned away for long enough. Undefined when the revocation does not stand any more. */
  confirm(
    id: string,
    act: { readonly proof: string; readonly nowMs: number },
  ): Promise<Revocation | undefined>
  /** The key is still used: the call is made again, from `at` on, as a new request. */
  callAgain(
    id: string,
    act: { readonly at: Date; readonly stillUsedAt: Date; readonly nowMs: number },
  ): Promise<Revocation | undefined>
  /** Undoes what was to last until now. */
  restoreDue(nowMs: number): Promise<Revocation[]>
  /** An operator's wish: a new pending revocation, or the approval of a proposed one. Safe to repeat: a standing one is returned. */
  requestRevoke(wish: OperatorWish): Promise<Revocation>
  /** Approves this very proposal; undefined when it does not wait any more. */
  approve(id: string, act: Omit<OperatorWish, 'keyId'>): Promise<Revocation | undefined>
  /** An operator's wish: makes the newest standing revocation of the key `restoring`; one is made when there is none. */
  requestRestore(wish: OperatorWish): Promise<Revocation>
  forKey(keyId: string, limit: number): Promise<Revocation[]>
  /** Newest first. */
  list(query: RevocationQuery): Promise<Revocation[]>
  /** What the policy would have done since then, one entry a key, newest first, with what people said of it. */
  ledger(range: { readonly sinceMs: number }): Promise<LedgerEntry[]>
  /** Halts that are in force. */
  halts(): Promise<Halt[]>
  /** Stops the policy until `resume`; the halt that is in force when there is one. */
  halt(act: { readonly reason: string; readonly actor: string; readonly nowMs: number }): Promise<Halt>
  /** Ends halts; what was refused because of them, and whose alert is still open, is judged anew. */
  resume(
    causes: readonly HaltCause[],
    act: { readonly actor: string; readonly nowMs: number },
  ): Promise<Halt[]>
  /** What is true of all keys now: whether a halt may end. */
  fleet(nowMs: number): Promise<FleetFacts>
}

export interface RevocationQuery {
  readonly states?: readonly RevocationState[] | undefined
  readonly keyId?: string | undefined
  readonly sinceMs?: number | undefined
  readonly limit: number
}

export interface OperatorWish {
  readonly keyId: string
  readonly reason: string
  readonly actor: string
  readonly nowMs: number
  /** When the revocation is to be undone by itself. */
  readonly restoreAt?: Date | undefined
}
