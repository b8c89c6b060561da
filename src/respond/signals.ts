import type { Alert } from '../alert/alert.ts'
import { evidenceKind } from '../detect/corroborate.ts'
import { severityRank } from '../detect/finding.ts'

/** Limits and lists of the operator that are broken by use itself: each is a signal of its own. */
const LIMITS: readonly string[] = ['spend_threshold', 'ip_allowlist']

/** What the alert is a signal of: `volume`, `place`, ..., or a limit's name; undefined for remarks such as `key_age`. */
export function signalOf(alert: Pick<Alert, 'detector' | 'scope'>): string | undefined {
  // A slow rise is no evidence within the hour, which is what corroboration asks for; here it is.
  if (alert.detector === 'slow_drift') return 'volume'
  return evidenceKind(alert) ?? (LIMITS.includes(alert.detector) ? alert.detector : undefined)
}

/** Open alerts of a key that speak of abuse: neither remarks, nor mere oddities, nor judged harmless by a person. */
export function telling(alerts: readonly Alert[]): Alert[] {
  return alerts.filter(
    (alert) =>
      signalOf(alert) !== undefined &&
      severityRank(alert.severity) >= severityRank('warning') &&
      alert.verdict !== 'expected' &&
      alert.verdict !== 'safe',
  )
}

/**
 * The independent signals in alerts, each once. What an alert was corroborated by when it was raised counts, whether or
 * not it has an alert of its own.
 */
export function signalsOf(alerts: readonly Alert[]): string[] {
  const signals = alerts.flatMap((alert) => [
    signalOf(alert) ?? [],
    ...corroborators(alert).map((detector) => signalOf({ detector, scope: '' }) ?? []),
  ])
  return [...new Set(signals.flat())].toSorted()
}

function corroborators({ evidence }: Alert): Alert['detector'][] {
  const names = evidence['corroborated_by']
  return Array.isArray(names) ? (names.filter((name) => typeof name === 'string') as Alert['detector'][]) : []
}

/** True when some of it rests on no habit: a limit or a list of the operator holds from the first request on. */
export function needsNoLearning(alerts: readonly Alert[]): boolean {
  return alerts.some(({ detector }) => LIMITS.includes(detector))
}
