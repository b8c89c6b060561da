import type { Generated } from 'kysely'
import type { Json } from './json-column.ts'

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

/** What requests add up to. */
interface UsageSums {
  requests: number
  refused: number
  input_tokens: number
  output_tokens: number
  cached_input_tokens: number
  cost_nano_usd: number
  unpriced: number
}

export interface UsageRollupTable extends UsageSums {
  bucket: Date
  key_id: string
  model: string
  country: string
}

export interface UsageSourceTable extends UsageSums {
  bucket: Date
  key_id: string
  address: string
  country: string | null
  latitude: number | null
  longitude: number | null
  first_ts: Date
  last_ts: Date
}

export interface RejectedEventTable {
  job_id: string
  item_index: number
  digest: string
  received_at: Date
  reason: string
  payload: string | null
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
