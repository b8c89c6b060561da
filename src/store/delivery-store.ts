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
}

export type DeliveryOutcome =
  | { readonly kind: 'delivered'; readonly receipt: string }
  | { readonly kind: 'retry'; readonly at: Date; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string }

export interface DeliveryStore {
  /**
   * Claims deliveries that are due, oldest first, `for update skip locked`, for `leaseMs`. A claim that is not settled in
   * that time (the process died) is due again: at least once, with the same id.
   */
  claimDue(claim: {
    readonly nowMs: number
    readonly limit: number
    readonly leaseMs: number
    /** Names of channels that nothing is claimed for: they are busy, or asked for a pause. */
    readonly except?: readonly string[]
  }): Promise<ClaimedDelivery[]>
  settle(id: string, outcome: DeliveryOutcome, nowMs: number): Promise<void>
  /** When the next delivery is due, `except` left out; undefined when none is waiting. */
  nextDueMs(except?: readonly string[]): Promise<number | undefined>
}
