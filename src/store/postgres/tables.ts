import type { Generated } from 'kysely'
import type {
  AlertHistoryTable,
  AlertTable,
  IncidentTable,
  SilenceTable,
  VerdictTable,
} from './alert-tables.ts'
import type { ChannelStateTable, DeliveryTable, SelfAlertTable, SelfNoticeTable } from './delivery-tables.ts'
import type { KeyHabitTable, ProfileTable, TaughtValueTable, TickStateTable } from './profile-tables.ts'
import type { AuditTable, ResponseHaltTable, RevocationTable } from './revocation-tables.ts'
import type {
  ApiKeyTable,
  RejectedEventTable,
  UsageEventTable,
  UsageRollupTable,
  UsageSourceTable,
} from './usage-tables.ts'

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
  key_habit: KeyHabitTable
  late_usage: { noted_at: Generated<Date>; key_id: string; bucket: Date }
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
