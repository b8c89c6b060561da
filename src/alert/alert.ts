import type { DetectorName, Evidence, Severity } from '../detect/finding.ts'

export const ALERT_STATUSES = ['firing', 'acknowledged', 'resolved', 'silenced'] as const
export type AlertStatus = (typeof ALERT_STATUSES)[number]

/**
 * A finding that lives: opened by the first finding of a detector on a key and scope, updated by later ones, resolved
 * when the detector has been quiet. At most one is open (not resolved) per detector, key and scope: the database says so.
 */
export interface Alert {
  /** UUID. */
  readonly id: string
  /** The incident that this alert is announced with. */
  readonly incidentId: string
  readonly detector: DetectorName
  readonly keyId: string
  readonly scope: string
  readonly severity: Severity
  readonly status: AlertStatus
  readonly openedAt: Date
  readonly lastSeenAt: Date
  readonly resolvedAt: Date | undefined
  /** How many ticks found it. */
  readonly occurrences: number
  readonly summary: string
  readonly evidence: Evidence
  /** Evaluations in a row that did not find it; undefined where only time counts. */
  readonly cleanEvaluations?: number | undefined
  /** When it was first part of a message. */
  readonly announcedAt?: Date | undefined
  /** What keeps it quiet while it is `silenced`: the id of a mute, `silence:<id>` or `maintenance:<name>`. */
  readonly silencedBy?: string | undefined
  /** While it is `acknowledged`: when it fires again if it is not resolved by then. */
  readonly acknowledgedUntil?: Date | undefined
  /** When it could be heard again, and why: a silence, a maintenance window or an acknowledgement ended. */
  readonly releasedAt?: Date | undefined
  readonly releaseReason?: string | undefined
  /** What a person said of it last. */
  readonly verdict?: Verdict | undefined
}

export const VERDICTS = ['compromised', 'expected', 'safe'] as const
/**
 * What a person says of an alert. `compromised`: the key is abused. `expected`: right to ask, harmless this once. `safe`:
 * harmless, and the same again is no news.
 */
export type Verdict = (typeof VERDICTS)[number]

/** An alert as section 6 of the interfaces writes it: HTTP API, webhook, command line. */
export function alertToJson(alert: Alert, links: Readonly<Record<string, string>> = {}): AlertJson {
  return {
    id: alert.id,
    detector: alert.detector,
    key_id: alert.keyId,
    severity: alert.severity,
    status: alert.status,
    opened_at: alert.openedAt.toISOString(),
    last_seen_at: alert.lastSeenAt.toISOString(),
    resolved_at: alert.resolvedAt?.toISOString() ?? null,
    occurrences: alert.occurrences,
    summary: alert.summary,
    evidence: alert.evidence,
    links,
    ...(alert.silencedBy === undefined ? {} : { silenced_by: alert.silencedBy }),
    ...(alert.acknowledgedUntil === undefined
      ? {}
      : { acknowledged_until: alert.acknowledgedUntil.toISOString() }),
    ...(alert.verdict === undefined ? {} : { verdict: alert.verdict }),
  }
}

export interface AlertJson {
  readonly id: string
  readonly detector: DetectorName
  readonly key_id: string
  readonly severity: Severity
  readonly status: AlertStatus
  readonly opened_at: string
  readonly last_seen_at: string
  readonly resolved_at: string | null
  readonly occurrences: number
  readonly summary: string
  readonly evidence: Evidence
  readonly links: Readonly<Record<string, string>>
  readonly silenced_by?: string
  readonly acknowledged_until?: string
  readonly verdict?: Verdict
}
