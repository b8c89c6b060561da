import type { Notification, NotificationType } from '../alert/notification.ts'

/** A claimed row of the outbox: this sender, and no other, sends it until `lockedUntil`. */
export interface ClaimedDelivery {
  readonly id: string
  readonly channel: string
  readonly type: NotificationType
  /** Tries before this one. */
  readonly attempts: number
  readonly createdAt: Date
  /** The message, read at the time of the claim, so that it tells the newest state. */
  readonly notification: Notification
  /** What the newest message of the incident left behind on this channel; see `Channel.send`. */
  readonly ref: string | undefined
  /** Why nothing can be sent on the channel, when the other side has refused for good. */
  readonly refused: string | undefined
}

export type DeliveryOutcome =
  | { readonly kind: 'delivered'; readonly receipt: string; readonly ref?: string | undefined }
  | { readonly kind: 'retry'; readonly at: Date; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string }

/** How fast a channel may be written to. */
export interface Pace {
  /** The time between two messages, over all replicas. */
  readonly intervalMs: number
  /** From so many waiting messages on they are claimed together, up to `togetherMax`; absent: one at a time. */
  readonly together?: { readonly from: number; readonly max: number } | undefined
}

export interface DeliveryStore {
  /**
   * Takes the turn of one channel: claims messages of it that are due, oldest first, for `leaseMs`. A claim that is not
   * settled in that time (the process died) is due again: at least once, with the same id. The messages of one incident
   * on one channel keep their order: one that waits, or is being sent, holds back those that were made after it.
   */
  claimDue(claim: {
    readonly nowMs: number
    /** How many, on a channel that has no pace. */
    readonly limit: number
    readonly leaseMs: number
    /** Names of channels that nothing is claimed for: this process is writing to them. */
    readonly except?: readonly string[]
    readonly pace?: (channel: string) => Pace | undefined
  }): Promise<ClaimedDelivery[]>
  /** Their sender lives and is still sending them: nobody else takes them before then. */
  renew(ids: readonly string[], untilMs: number): Promise<void>
  settle(id: string, outcome: DeliveryOutcome, nowMs: number): Promise<void>
  /** When the next delivery is due, `except` left out; undefined when none is waiting. */
  nextDueMs(except?: readonly string[]): Promise<number | undefined>
  /**
   * Messages that failed for good, or have not arrived within `lateMs` although it was tried, and that
   * no other channel was asked to tell.
   */
  toHandOver(search: {
    readonly nowMs: number
    readonly lateMs: number
    readonly limit: number
  }): Promise<StrandedDelivery[]>
  /** Puts the message into the outbox for other channels, which get it once, and marks it as handed over. */
  handOver(id: string, channels: readonly string[], nowMs: number): Promise<void>
}

/** A message that its channel could not deliver. */
export interface StrandedDelivery {
  readonly id: string
  readonly channel: string
  readonly notification: Notification
  /** Other channels that have the same message, delivered or still to be sent. */
  readonly alsoOn: readonly string[]
}
