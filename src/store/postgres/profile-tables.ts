import type { KeyHabit } from '../../detect/key-habit.ts'
import type { StoredProfile } from '../../detect/profile.ts'
import type { Json } from './json-column.ts'

export interface ProfileTable {
  key_id: string
  learned_until: Date
  silent_from: Date | null
  state: Json<StoredProfile>
}

export interface KeyHabitTable {
  key_id: string
  learned_until: Date
  habit: Json<KeyHabit>
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

export interface TickStateTable {
  shard_count: number
  shard_index: number
  last_tick_at: Date
  succeeded_at: Date | null
}
