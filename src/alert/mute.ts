import { RESPONSE_ALERT } from '../detect/finding.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { Alert } from './alert.ts'
import { matchesAlert, type RouteMatch } from './route.ts'

/** What is in force at an instant and keeps people from being told: a silence, or a maintenance window. */
export interface Mute {
  /** `silence:<uuid>` or `maintenance:<name>`. */
  readonly id: string
  /** What it is, for people: `the silence of ann ("nightly batch")`. */
  readonly label: string
  readonly match: RouteMatch
  /** Of this alert alone. */
  readonly alertId?: string | undefined
}

/** What becomes of an alert under the mutes that are in force. */
export type Move =
  | { readonly kind: 'silence'; readonly mute: Mute }
  /** Another mute keeps it quiet from now on. */
  | { readonly kind: 'hand_over'; readonly mute: Mute }
  | { readonly kind: 'release'; readonly reason: string }

/**
 * Decides whether an open alert falls silent or can be heard again. What fires falls silent; what somebody acknowledged
 * is quiet already and stays as it is until its acknowledgement ends. An alert that became worse than its silence covers
 * is heard. `labelOf` names the mute that kept it quiet, which is over.
 */
export function moveOf(
  alert: Alert,
  key: KeyAttributes,
  {
    mutes,
    nowMs,
    labelOf,
  }: { readonly mutes: readonly Mute[]; readonly nowMs: number; readonly labelOf: (id: string) => string },
): Move | undefined {
  switch (alert.status) {
    case 'resolved':
      return undefined
    case 'firing': {
      const mute = muteOf(alert, key, mutes)
      return mute === undefined ? undefined : { kind: 'silence', mute }
    }
    case 'acknowledged': {
      const { acknowledgedUntil: until } = alert
      if (until === undefined || until.getTime() > nowMs) return undefined
      const mute = muteOf(alert, key, mutes)
      if (mute !== undefined) return { kind: 'silence', mute }
      return { kind: 'release', reason: `it was acknowledged until ${until.toISOString()} and is still open` }
    }
    case 'silenced': {
      const mute = muteOf(alert, key, mutes)
      const by = alert.silencedBy ?? ''
      if (mute?.id === by) return undefined
      if (mute !== undefined) return { kind: 'hand_over', mute }
      return { kind: 'release', reason: `${labelOf(by)} does not cover it any more, and it is still open` }
    }
    default:
      return alert.status satisfies never
  }
}

/** The mute that keeps the alert quiet: the one that does already, else the first that matches. Containment is never silenced. */
export function muteOf(alert: Alert, key: KeyAttributes, mutes: readonly Mute[]): Mute | undefined {
  if (alert.detector === RESPONSE_ALERT) return undefined
  const matching = mutes.filter(({ match, alertId }) =>
    alertId === undefined ? matchesAlert(match, { ...alert, key }) : alertId === alert.id,
  )
  return matching.find(({ id }) => id === alert.silencedBy) ?? matching[0]
}
