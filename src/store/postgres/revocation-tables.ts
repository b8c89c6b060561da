import type { Generated, GeneratedAlways } from 'kysely'
import type { HaltCause, RevocationMeans, RevocationState } from '../revocation-store.ts'
import type { Json } from './json-column.ts'

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

export interface AuditTable {
  id: GeneratedAlways<number>
  at: Date
  actor: string
  action: string
  key_id: string | null
  subject: string | null
  detail: Json<Record<string, string | null>>
}
