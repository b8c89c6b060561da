import type { Alert, AlertStatus } from '../alert/alert.ts'
import type { NotificationType } from '../alert/notification.ts'
import type { Profile } from '../detect/profile.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { UsageTotals } from '../usage/rollup.ts'

/** What operators ask and do, over HTTP and on the command line. */
export interface OperatorStore {
  /** Newest first. `cursor` is what the page before returned. Throws InvalidCursorError. */
  listAlerts(query: AlertQuery): Promise<{ readonly alerts: Alert[]; readonly cursor: string | undefined }>
  alert(id: string): Promise<AlertDetail | undefined>
  /** Undefined when there is no such alert; repeating it changes nothing. A resolved alert stays resolved. */
  acknowledge(id: string, act: OperatorAct): Promise<Alert | undefined>
  resolve(id: string, act: OperatorAct): Promise<Alert | undefined>
  key(keyId: string): Promise<KeyDetail | undefined>
}

export interface AlertQuery {
  readonly status?: readonly AlertStatus[] | undefined
  readonly keyId?: string | undefined
  readonly detector?: string | undefined
  /** 1 to 200. */
  readonly limit: number
  readonly cursor?: string | undefined
}

export interface OperatorAct {
  readonly actor: string
  readonly note: string | undefined
  readonly nowMs: number
}

export interface AlertDetail {
  readonly alert: Alert
  readonly deliveries: readonly {
    readonly id: string
    readonly channel: string
    readonly type: NotificationType
    readonly state: 'pending' | 'delivered' | 'failed'
    readonly attempts: number
    readonly dueAt: Date
    readonly deliveredAt: Date | undefined
    readonly lastError: string | undefined
  }[]
  readonly history: readonly {
    readonly at: Date
    readonly change: string
    readonly actor: string
    readonly note: string | undefined
  }[]
}

export interface KeyDetail {
  readonly key: KeyAttributes
  readonly state: 'active' | 'revoked'
  readonly firstSeenAt: Date
  readonly lastSeenAt: Date | undefined
  readonly lastDay: UsageTotals
  /** Undefined until its first hour has been learnt. */
  readonly profile: Profile | undefined
}

export class InvalidCursorError extends Error {
  override readonly name = 'InvalidCursorError'
}
