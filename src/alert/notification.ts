import type { KeyAttributes } from '../usage/event.ts'
import type { Alert } from './alert.ts'
import type { Containment } from './containment.ts'

/** The types of section 7 of the interfaces that are announced to people and systems. */
export const NOTIFICATION_TYPES = [
  'alert.opened',
  'alert.repeated',
  'alert.acknowledged',
  'alert.resolved',
  'key.revocation_proposed',
  'key.revoked',
  'key.revocation_confirmed',
  'key.revocation_failed',
  'key.restored',
] as const
export type NotificationType = (typeof NOTIFICATION_TYPES)[number]

/** What keyhound did, or would do, about the key. `none` when the policy has nothing to say. */
export type ResponseState =
  | { readonly kind: 'none' }
  | { readonly kind: 'would_revoke'; readonly strikes?: number | undefined }
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      readonly kind: 'proposed'
      readonly revocationId: string
      readonly strikes?: number | undefined
    }
  | {
      readonly kind: 'pending'
      readonly revocationId: string
      /** 2 and more when the key was still used after it had been revoked. */
      readonly round?: number | undefined
    }
  | {
      readonly kind: 'revoked' | 'confirmed'
      readonly revocationId: string
      readonly at: Date
      /** What was done to the key; absent: it was switched off. */
      readonly means?: 'disable' | 'throttle' | 'delete' | undefined
      readonly containment?: Containment | undefined
      /** How often the key had been revoked and given back before. */
      readonly strikes?: number | undefined
    }
  | { readonly kind: 'failed'; readonly revocationId: string; readonly error: string }
  | { readonly kind: 'restored'; readonly revocationId: string; readonly at: Date }

/** One message to one channel: what a channel renders and sends. Text in it may have been chosen by an attacker. */
export interface Notification {
  /** The delivery's id: the same on every retry; the idempotency key of the other side. */
  readonly id: string
  readonly type: NotificationType
  /** When what it tells happened. */
  readonly at: Date
  /** The worst alert of the incident; it leads the message. */
  readonly lead: Alert
  /** The incident's other alerts, worst first. */
  readonly others: readonly Alert[]
  readonly key: KeyAttributes
  /** What the incident's traffic looks like, for the ten seconds at 3 a.m. */
  readonly traffic: IncidentTraffic
  readonly response: ResponseState
  /** Why it is told although no finding explains it: a silence ended, nobody acknowledged. Plain words. */
  readonly reason?: string | undefined
  /** The channel that should have told it and could not. */
  readonly insteadOf?: string | undefined
  /** True for a message that a person asked for with `test-channel`. */
  readonly test?: boolean
}

/** Facts from the raw events of the key since the incident began (from ten minutes before its first alert). */
export interface IncidentTraffic {
  readonly since: Date
  readonly requests: number
  /** Known cost; undefined when no request in it has one. */
  readonly costNanoUsd: number | undefined
  readonly costNanoUsdPerHour: number | undefined
  readonly topAddress: Share | undefined
  readonly topCountry: Share | undefined
  readonly topModel: Share | undefined
}

export interface Share {
  readonly value: string
  /** 0 to 1, of the requests. */
  readonly share: number
}
