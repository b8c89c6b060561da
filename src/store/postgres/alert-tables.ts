import type { Generated, GeneratedAlways } from 'kysely'
import type { AlertStatus, Verdict } from '../../alert/alert.ts'
import type { RouteMatch } from '../../alert/route.ts'
import type { DetectorName, Evidence, Severity } from '../../detect/finding.ts'
import type { Json } from './json-column.ts'

export interface AlertTable {
  id: string
  incident_id: string
  detector: DetectorName
  key_id: string
  scope: string
  severity: Severity
  status: AlertStatus
  opened_at: Date
  last_seen_at: Date
  resolved_at: Date | null
  occurrences: number
  summary: string
  evidence: Json<Evidence>
  decided_severity: Severity | null
  clean: Generated<number>
  announced_at: Date | null
  acknowledged_until: Date | null
  silenced_by: string | null
  released_at: Date | null
  release_reason: string | null
  verdict: Verdict | null
}

export interface AlertHistoryTable {
  id: GeneratedAlways<number>
  alert_id: string
  at: Date
  change:
    | 'opened'
    | 'escalated'
    | 'acknowledged'
    | 'silenced'
    | 'released'
    | 'told_further'
    | 'verdict'
    | 'resolved'
  severity: Severity
  actor: string
  note: string | null
}

export interface IncidentTable {
  id: string
  group_key: string
  opened_at: Date
  closed_at: Date | null
  announced_severity: Severity | null
  last_announced_at: Date | null
  announcements: Generated<number>
  channels: Generated<string[]>
  told_at: Date | null
  repeats: Generated<number>
  escalated_ms: Generated<number>
  look_at: Date | null
}

export interface SilenceTable {
  id: string
  matchers: Json<RouteMatch>
  alert_id: string | null
  starts_at: Date
  ends_at: Date
  created_at: Date
  created_by: string
  comment: string
  expired_at: Date | null
  expired_by: string | null
  silenced: Generated<number>
}

export interface VerdictTable {
  id: string
  alert_id: string
  key_id: string
  verdict: Verdict
  at: Date
  actor: string
  comment: string | null
}
