import type { ColumnType, Generated, GeneratedAlways } from 'kysely'
import type { AlertStatus } from '../../alert/alert.ts'
import type { NotificationType } from '../../alert/notification.ts'
import type { DetectorName, Evidence, Severity } from '../../detect/finding.ts'
import type { Profile } from '../../detect/profile.ts'
import type { RevocationState } from '../revocation-store.ts'

/** The tables of sql/, as kysely sees them. bigint is a number (database.ts), jsonb goes in as text and comes out parsed. */
export interface Tables {
  alert: AlertTable
  alert_history: AlertHistoryTable
  api_key: ApiKeyTable
  audit: AuditTable
  delivery: DeliveryTable
  incident: IncidentTable
  migration_checksum: { name: string; sha256: string }
  profile: ProfileTable
  rejected_event: RejectedEventTable
  revocation: RevocationTable
  setting: { name: string; value: string }
  tick_state: TickStateTable
  unlearnt_hour: { hour: Date; key_id: string; arrived_at: Generated<Date> }
  usage_event: UsageEventTable
  usage_rollup: UsageRollupTable
  usage_source: UsageSourceTable
}

type Json<Value> = ColumnType<Value, string, string>

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
}

export interface AlertHistoryTable {
  id: GeneratedAlways<number>
  alert_id: string
  at: Date
  change: 'opened' | 'escalated' | 'acknowledged' | 'resolved'
  severity: Severity
  actor: string
  note: string | null
}

export interface ApiKeyTable {
  key_id: string
  team_id: string | null
  environment: string | null
  first_seen_at: Date
  last_seen_at: Date | null
  state: Generated<'active' | 'revoked'>
}

export interface AuditTable {
  id: GeneratedAlways<number>
  at: Date
  actor: string
  action: string
  key_id: string | null
  subject: string | null
  detail: Json<Record<string, string | null>>
}

export interface DeliveryTable {
  id: string
  incident_id: string
  number: number
  type: NotificationType
  channel: string
  revocation_id: string | null
  state: Generated<'pending' | 'delivered' | 'failed'>
  attempts: Generated<number>
  created_at: Date
  due_at: Date
  locked_until: Date | null
  settled_at: Date | null
  receipt: string | null
  last_error: string | null
}

export interface IncidentTable {
  id: string
  group_key: string
  opened_at: Date
  closed_at: Date | null
  announced_severity: Severity | null
  last_announced_at: Date | null
  announcements: Generated<number>
}

interface ProfileTable {
  key_id: string
  learned_until: Date
  state: Json<Profile>
}

interface RejectedEventTable {
  job_id: string
  item_index: number
  digest: string
  received_at: Date
  reason: string
  payload: string | null
}

export interface RevocationTable {
  id: string
  key_id: string
  alert_id: string | null
  incident_id: string | null
  state: RevocationState
  reason: string
  actor: string
  attempts: Generated<number>
  created_at: Date
  updated_at: Date
  due_at: Date
  locked_until: Date | null
  calling: 'pending' | 'restoring' | null
  receipt: string | null
  last_error: string | null
}

interface TickStateTable {
  shard_count: number
  shard_index: number
  last_tick_at: Date
}

export interface UsageEventTable {
  key_id: string
  event_id: string
  ts: Date
  model: string
  provider: string | null
  ip: string | null
  country: string | null
  latitude: number | null
  longitude: number | null
  input_tokens: number
  output_tokens: number
  cached_input_tokens: number
  cost_nano_usd: number | null
  cost_estimated: boolean
  status_code: number
  latency_ms: number | null
  team_id: string | null
  user_id: string | null
  environment: string | null
  metadata: Json<Record<string, string>> | null
}

export interface UsageRollupTable {
  bucket: Date
  key_id: string
  model: string
  country: string
  requests: number
  refused: number
  input_tokens: number
  output_tokens: number
  cached_input_tokens: number
  cost_nano_usd: number
  unpriced: number
}

export interface UsageSourceTable {
  bucket: Date
  key_id: string
  address: string
  country: string | null
  latitude: number | null
  longitude: number | null
  requests: number
  refused: number
  input_tokens: number
  output_tokens: number
  cached_input_tokens: number
  cost_nano_usd: number
  unpriced: number
  first_ts: Date
  last_ts: Date
}
