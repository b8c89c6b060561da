import { sql } from 'kysely'
import { HOUR_MS } from '../../usage/duration.ts'
import type { Shard } from '../engine-store.ts'
import type { Database } from './database.ts'

/** A tick this far in the future was claimed by a clock that was wrong; ticking must not stop until that hour comes. */
const CLOCK_ERROR_MS = HOUR_MS

/**
 * Claims the tick of a shard for this replica. False when this tick, or a later one, was claimed before: whoever claimed
 * it runs it, and should he die, the next tick does his work, for a tick looks at all that is recent.
 */
export async function claimTick(db: Database, shard: Shard, atMs: number): Promise<boolean> {
  const { rows } = await sql`
    insert into tick_state as t (shard_count, shard_index, last_tick_at)
    values (${shard.count}, ${shard.index}, ${new Date(atMs)})
    on conflict (shard_count, shard_index) do update set last_tick_at = excluded.last_tick_at
    where t.last_tick_at < excluded.last_tick_at or t.last_tick_at > ${new Date(atMs + CLOCK_ERROR_MS)}
    returning shard_index`.execute(db)
  return rows.length === 1
}
