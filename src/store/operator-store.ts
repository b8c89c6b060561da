import type { Alert, AlertStatus, Verdict } from '../alert/alert.ts'
import type { NotificationType } from '../alert/notification.ts'
import type { Profile } from '../detect/profile.ts'
import type { Taught } from '../detect/taught.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { UsageTotals } from '../usage/rollup.ts'

/** What operators ask and do, over HTTP and on the command line. */
export interface OperatorStore {
  /** Newest first. `cursor` is what the page before returned. Throws InvalidCursorError. */
  listAlerts(query: AlertQuery): Promise<{ readonly alerts: Alert[]; readonly cursor: string | undefined }>
  alert(id: string): Promise<AlertDetail | undefined>
  /** Undefined when there is no such alert; repeating it changes nothing. A resolved alert stays resolved. */
  acknowledge(id: string, act: AcknowledgeAct): Promise<Alert | undefined>
  resolve(id: string, act: OperatorAct): Promise<Alert | undefined>
  /**
   * What a person says of an alert; undefined when there is no such alert. `compromised` freezes the key's profile and
   * acknowledges the incident; `expected` closes the alert, and the same goes on unheard until it has been quiet; `safe`
   * closes it and teaches its values. The last verdict counts; `expected` and `safe` unfreeze.
   */
  giveVerdict(id: string, verdict: VerdictAct): Promise<VerdictOutcome | undefined>
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

export interface AcknowledgeAct extends OperatorAct {
  /** When the alert fires again if it is still open. */
  readonly until?: Date | undefined
  /** The open alerts that share its message too: whoever answers a message answers all that it tells. */
  readonly wholeIncident?: boolean | undefined
}

export interface VerdictAct {
  readonly verdict: Verdict
  readonly comment: string | undefined
  readonly actor: string
  readonly nowMs: number
  /** How long what `safe` teaches lasts. */
  readonly safeForMs: number
}

export interface VerdictOutcome {
  readonly alert: Alert
  /** What `safe` has taught, and until when; empty for other verdicts, and for alerts that hold no value to remember. */
  readonly taught: readonly Taught[]
  readonly taughtUntil: Date | undefined
  /** True when the profile of the key learns no habits. */
  readonly frozen: boolean
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
    /** What the other side answered. */
    readonly receipt: string | undefined
    /** The channel that could not deliver it. */
    readonly insteadOf: string | undefined
    /** Since when its channel is broken, now. */
    readonly channelBrokenAt: Date | undefined
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
  /** Since when the profile learns no habits: a person called the key compromised. */
  readonly frozenAt?: Date | undefined
  /** What people called safe, and until when. */
  readonly taught?: readonly (Taught & { readonly until: Date })[] | undefined
}

export class InvalidCursorError extends Error {
  override readonly name = 'InvalidCursorError'
}
