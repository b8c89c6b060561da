import type { Generated, GeneratedAlways } from 'kysely'
import type { Notice } from '../../alert/notice.ts'
import type { NotificationType } from '../../alert/notification.ts'
import type { Severity } from '../../detect/finding.ts'
import type { Json } from './json-column.ts'

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

export interface SelfAlertTable {
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
