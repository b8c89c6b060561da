import type { ColumnType, Generated, GeneratedAlways } from 'kysely'
import type { AlertStatus, Verdict } from '../../alert/alert.ts'
import type { NotificationType } from '../../alert/notification.ts'
import type { Notice } from '../../alert/notice.ts'
import type { RouteMatch } from '../../alert/route.ts'
import type { DetectorName, Evidence, Severity } from '../../detect/finding.ts'
import type { StoredProfile } from '../../detect/profile.ts'
import type { HaltCause, RevocationMeans, RevocationState } from '../revocation-store.ts'

/** The tables of sql/, as kysely sees them. bigint is a number (database.ts), jsonb goes in as text and comes out parsed. */
export interface Tables {
  alert: AlertTable
  alert_history: AlertHistoryTable
  api_key: ApiKeyTable
  audit: AuditTable
  channel_state: ChannelStateTable
  delivery: DeliveryTable
  duty: { name: string; turn_at: Date }
  incident: IncidentTable
  migration_checksum: { name: string; sha256: string }
  profile: ProfileTable
  rejected_event: RejectedEventTable
  response_halt: ResponseHaltTable
  revocation: RevocationTable
  self_alert: SelfAlertTable
  self_notice: SelfNoticeTable
  setting: { name: string; value: string }
  silence: SilenceTable
  taught_value: TaughtValueTable
  tick_state: TickStateTable
  unlearnt_hour: { hour: Date; key_id: string; arrived_at: Generated<Date> }
  usage_event: UsageEventTable
  usage_rollup: UsageRollupTable
  usage_source: UsageSourceTable
  verdict: VerdictTable
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

export interface ApiKeyTable {
  key_id: string
  team_id: string | null
  environment: string | null
  first_seen_at: Date
  last_seen_at: Date | null
  state: Generated<'active' | 'revoked'>
  state_since: Date | null
  frozen_at: Date | null
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

export interface ChannelStateTable {
  channel: string
  free_at: Date | null
  failing_since: Date | null
  failures: Generated<number>
  broken_at: Date | null
  refused: Generated<boolean>
  last_error: string | null
  told_at: Date | null
  told_on: string | null
  telling_until: Date | null
  probe_at: Date | null
  probes: Generated<number>
  last_delivered_at: Date | null
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
  reason: string | null
  message_ref: string | null
  instead_of: string | null
  handed_over_at: Date | null
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

interface ProfileTable {
  key_id: string
  learned_until: Date
  silent_from: Date | null
  state: Json<StoredProfile>
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
  means: RevocationMeans | null
  round: Generated<number>
  first_abuse_at: Date | null
  revoked_at: Date | null
  effective_from: Date | null
  confirmed_at: Date | null
  still_used_at: Date | null
  restore_at: Date | null
  strikes: Generated<number>
  memo: string | null
  halt: HaltCause | null
  by_policy: Generated<boolean>
}

export interface ResponseHaltTable {
  id: string
  cause: HaltCause
  reason: string
  actor: string
  started_at: Date
  ended_at: Date | null
  ended_by: string | null
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

export interface TaughtValueTable {
  key_id: string
  kind: 'country' | 'model' | 'hour' | 'volume'
  value: string
  level: number | null
  taught_at: Date
  expires_at: Date
  verdict_id: string
}

interface TickStateTable {
  shard_count: number
  shard_index: number
  last_tick_at: Date
  succeeded_at: Date | null
}

interface SelfAlertTable {
  id: string
  topic: string
  severity: Severity
  title: string
  opened_at: Date
  last_bad_at: Date
  told_at: Date
  closed_at: Date | null
}

export interface SelfNoticeTable {
  id: string
  topic: string
  channel: string | null
  notice: Json<Omit<Notice, 'at'> & { readonly at: string }>
  state: Generated<'pending' | 'delivered' | 'failed'>
  attempts: Generated<number>
  number: GeneratedAlways<number>
  created_at: Date
  due_at: Date
  locked_until: Date | null
  settled_at: Date | null
  receipt: string | null
  last_error: string | null
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
