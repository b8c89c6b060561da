import type { Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import type { Incident } from '../../alert/announce.ts'
import type { AlertTable, IncidentTable } from './alert-tables.ts'

/** A row of `alert` as the alert it holds. */
export function toAlert(row: Selectable<AlertTable>): Alert {
  return {
    id: row.id,
    incidentId: row.incident_id,
    detector: row.detector,
    keyId: row.key_id,
    scope: row.scope,
    severity: row.severity,
    status: row.status,
    openedAt: row.opened_at,
    lastSeenAt: row.last_seen_at,
    resolvedAt: row.resolved_at ?? undefined,
    occurrences: row.occurrences,
    summary: row.summary,
    evidence: row.evidence,
    cleanEvaluations: row.clean,
    announcedAt: row.announced_at ?? undefined,
    silencedBy: row.silenced_by ?? undefined,
    acknowledgedUntil: row.acknowledged_until ?? undefined,
    releasedAt: row.released_at ?? undefined,
    releaseReason: row.release_reason ?? undefined,
    verdict: row.verdict ?? undefined,
  }
}

/** A row of `incident` as the incident it holds. */
export function toIncident(row: Selectable<IncidentTable>): Incident {
  return {
    id: row.id,
    groupKey: row.group_key,
    openedAt: row.opened_at,
    closedAt: row.closed_at ?? undefined,
    announcedSeverity: row.announced_severity ?? undefined,
    lastAnnouncedAt: row.last_announced_at ?? undefined,
    announcements: row.announcements,
    toldAt: row.told_at ?? undefined,
    repeats: row.repeats,
    escalatedMs: row.escalated_ms,
  }
}
