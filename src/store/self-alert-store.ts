import type { Notice } from '../alert/notice.ts'
import type { Severity } from '../detect/finding.ts'

/** Something that is wrong with keyhound itself, told and not over. At most one is open per topic. */
export interface SelfAlert {
  readonly topic: string
  readonly severity: Severity
  readonly title: string
  readonly openedAt: Date
  /** When a process last found it, or could not rule it out. */
  readonly lastBadAt: Date
  /** When people were last told. */
  readonly toldAt: Date
}

/** What one look at keyhound's health changes. */
export interface SelfMoves {
  readonly opened: readonly { readonly alert: SelfAlert; readonly notice: Notice }[]
  /** Topics of open self-alerts that go on. */
  readonly goingOn: readonly string[]
  readonly repeated: readonly { readonly topic: string; readonly notice: Notice }[]
  readonly closed: readonly { readonly topic: string; readonly notice: Notice }[]
}

/** Decides what changes, from what is open. Pure; called inside the transaction with the newest state. */
export type SelfDecision = (open: readonly SelfAlert[]) => SelfMoves

/**
 * The self-alerts that are open, and the notices that tell of them. Two implementations, held equal by one contract
 * suite: Postgres, shared by all replicas, and the memory of one process for when the database is away.
 */
export interface SelfAlertStore {
  open(): Promise<readonly SelfAlert[]>
  /**
   * Carries out what `decide` wants, in one transaction that no other replica's overlaps, and puts each notice into the
   * outbox once for each target: a channel, or undefined for the first one that takes it.
   */
  move(
    decide: SelfDecision,
    options: { readonly targets: readonly (string | undefined)[]; readonly now: Date },
  ): Promise<SelfMoves>
}

/** A notice that this process, and no other, sends until its lease ends. */
export interface ClaimedNotice {
  /** Of the message: the idempotency key of the other side, the same on every retry. */
  readonly id: string
  /** Undefined: the first channel that takes it. */
  readonly channel: string | undefined
  readonly notice: Notice
  /** Tries before this one. */
  readonly attempts: number
}

export type NoticeOutcome =
  | { readonly kind: 'delivered'; readonly receipt: string }
  | { readonly kind: 'retry'; readonly at: Date; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string }

/** Notices that wait to be sent. A claim that is not settled within its lease is due again: at least once. */
export interface NoticeOutbox {
  /** The notice that has been due the longest; of one topic and channel never a later one before an earlier one. */
  claim(nowMs: number, leaseMs: number): Promise<ClaimedNotice | undefined>
  settle(id: string, outcome: NoticeOutcome, nowMs: number): Promise<void>
}
