import { sql, type Selectable } from 'kysely'
import type { KeyAttributes } from '../../usage/event.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { BUCKET_MS, bucketStart } from '../../usage/rollup.ts'
import type { Database } from './database.ts'
import { toRollup } from './key-row.ts'
import { recentSources } from './key-sources.ts'
import type { UsageRollupTable } from './usage-tables.ts'

/**
 * The recent usage of one key as a tick would see it at `nowMs`, active or not. One index probe per minute, because the
 * rollups are ordered by time first: whoever asks about one key must not read the fleet.
 */
export async function recentUsageOf(db: Database, key: KeyAttributes, nowMs: number): Promise<KeyUsage> {
  const from = new Date(bucketStart(nowMs - RECENT_USAGE_MS, BUCKET_MS))
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const { rows } = await sql<Selectable<UsageRollupTable>>`
        select r.*
        from generate_series(${from}::timestamptz, ${new Date(nowMs)}::timestamptz, interval '1 minute') as minute (bucket)
        cross join lateral (
          select * from usage_rollup where bucket = minute.bucket and key_id = ${key.keyId}
          offset 0 -- keeps the planner from turning the probes into a scan
        ) as r
        order by r.bucket, r.model, r.country`.execute(trx)
      const sources = await recentSources(trx, [key.keyId], nowMs)
      return { key, rollups: rows.map(toRollup), sources: sources.get(key.keyId) ?? [] }
    })
}
