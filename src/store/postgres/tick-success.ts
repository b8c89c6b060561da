import { sql } from 'kysely'
import type { Shard } from '../engine-store.ts'
import type { Database } from './database.ts'

/** Notes that a tick of the shard has run to its end; the claim alone says only that somebody began one. */
export async function noteTickSuccess(db: Database, shard: Shard, atMs: number): Promise<void> {
  await sql`
    update tick_state set succeeded_at = greatest(succeeded_at, ${new Date(atMs)})
    where shard_count = ${shard.count} and shard_index = ${shard.index}`.execute(db)
}

/**
 * When the shard that has waited longest last had a tick that ran to its end; a shard that never had one counts from
 * `sinceMs`, and `haveRun` is false then.
 */
export async function oldestTickSuccess(
  db: Database,
  { shards, sinceMs }: { readonly shards: number; readonly sinceMs: number },
): Promise<{ readonly oldestSuccessMs: number; readonly haveRun: boolean }> {
  const { rows } = await sql<{ oldest: Date | null; succeeded: number }>`
    select min(succeeded_at) as oldest, count(succeeded_at) as succeeded
    from tick_state
    where shard_count = ${shards}`.execute(db)
  const [row] = rows
  const haveRun = (row?.succeeded ?? 0) >= shards
  const oldestMs = row?.oldest?.getTime() ?? sinceMs
  return { oldestSuccessMs: haveRun ? oldestMs : Math.min(oldestMs, sinceMs), haveRun }
}
