import { sql } from 'kysely'
import type { Profile } from '../../detect/profile.ts'
import { silentFromMs } from '../../detect/silence.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { BUCKET_MS, bucketStart } from '../../usage/rollup.ts'
import type { EngineStore } from '../engine-store.ts'
import { toAlert } from './alert-row.ts'
import { Arrivals } from './arrivals.ts'
import { commitTick } from './commit-tick.ts'
import type { Database } from './database.ts'
import { toKey } from './key-row.ts'
import { recentSources } from './key-sources.ts'
import { packedRollups, unpackRollups, type PackedRows } from './packed-rows.ts'
import { ProfileCache } from './profile-cache.ts'
import { inShard } from './shard.ts'
import { silentKeys } from './silent-keys.ts'
import { unlearntHours } from './unlearnt-hours.ts'

/** How long after its first event an hour is learnt, by the database's clock. */
const SETTLE_MS = 5 * SECOND_MS

/**
 * The daemon's EngineStore. An hour is learnt `settleMs` after its first event was stored: of a history that is being
 * imported, the rest of the hour arrives within that. Live usage is older than that anyway.
 */
export function createEngineStore(
  db: Database,
  { settleMs = SETTLE_MS }: { readonly settleMs?: number } = {},
): EngineStore {
  const profileCache = new ProfileCache()
  const arrivals = new Arrivals()
  return {
    activeUsage: (shard, range) => activeUsage(db, arrivals, shard, range),
    profiles: (keyIds) => profileCache.read(db, keyIds),
    unlearntHours: (shard, range) => unlearntHours(db, settleMs, shard, range),
    silentKeys: (shard, range) => silentKeys(db, shard, range),
    saveProfiles: (saved) => saveProfiles(db, saved),
    async openAlerts(shard) {
      const rows = await db
        .selectFrom('alert')
        .selectAll()
        .where('status', '<>', 'resolved')
        .where(inShard(shard, sql.ref('key_id')))
        .orderBy('opened_at')
        .orderBy('id')
        .execute()
      return rows.map(toAlert)
    },
    commit: (decisions, plan) => commitTick(db, decisions, plan),
  }
}

interface ActiveRow {
  key_id: string
  team_id: string | null
  environment: string | null
  rollups: PackedRows
}

/** Two reads of one moment, so that cube and sources tell of the same requests; one read of both took half as long again. */
async function activeUsage(
  db: Database,
  arrivals: Arrivals,
  ...[shard, { activeSinceMs, nowMs }]: Parameters<EngineStore['activeUsage']>
): Promise<KeyUsage[]> {
  const now = new Date(nowMs)
  const recentFrom = new Date(bucketStart(nowMs - RECENT_USAGE_MS, BUCKET_MS))
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      // The rows of ten thousand keys are sorted in memory, and no compiler is started for a query of a second.
      await sql`select set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`.execute(trx)
      const isLate = await arrivals.sinceLastLook(trx, shard)
      // Two ranges of the primary key and a hash join: measured three times faster than a probe per key.
      const { rows } = await sql<ActiveRow>`
        with active as materialized (
          select distinct key_id
          from usage_rollup
          where bucket >= ${recentFrom} and bucket <= ${now} and ${inShard(shard, sql.ref('key_id'))}
            and (bucket >= ${new Date(activeSinceMs)} or ${isLate})
        )
        select used.*, k.team_id, k.environment
        from (
          select r.key_id, ${packedRollups} as rollups
          from usage_rollup as r
          join active on active.key_id = r.key_id
          where r.bucket >= ${recentFrom} and r.bucket <= ${now}
          group by r.key_id
        ) as used
        left join api_key as k on k.key_id = used.key_id
        order by used.key_id`.execute(trx)
      const keyIds = rows.map((row) => row.key_id)
      const sources = await recentSources(trx, keyIds, nowMs)
      return rows.map((row) => ({
        key: toKey(row),
        rollups: unpackRollups(row.key_id, row.rollups),
        sources: sources.get(row.key_id) ?? [],
      }))
    })
}

/** Profiles, and in the same transaction the hours that they have learnt off the list of hours to learn. */
async function saveProfiles(db: Database, saved: readonly Profile[]): Promise<void> {
  if (saved.length === 0) return
  const keyIds = saved.map((profile) => profile.keyId)
  const learnedUntil = saved.map((profile) => new Date(profile.learnedUntilMs).toISOString())
  const silentFrom = saved.map((profile) => silentFromMs(profile)).map(isoOrNull)
  await db.transaction().execute(async (trx) => {
    await sql`
      insert into profile (key_id, learned_until, silent_from, state)
      select key_id, learned_until, silent_from, state
      from unnest(${keyIds}::text[], ${learnedUntil}::timestamptz[], ${silentFrom}::timestamptz[], ${saved.map((profile) => JSON.stringify(profile))}::jsonb[])
        as saved (key_id, learned_until, silent_from, state)
      order by key_id collate "C"
      on conflict (key_id) do update set
        learned_until = excluded.learned_until, silent_from = excluded.silent_from, state = excluded.state
      where profile.learned_until < excluded.learned_until`.execute(trx)
    await sql`
      delete from unlearnt_hour as u
      using (
        select u.hour, u.key_id
        from unlearnt_hour as u
        join unnest(${keyIds}::text[], ${learnedUntil}::timestamptz[]) as saved (key_id, learned_until)
          on saved.key_id = u.key_id
        where u.hour < saved.learned_until
        order by u.hour, u.key_id
        for update of u
      ) as learnt
      where u.hour = learnt.hour and u.key_id = learnt.key_id`.execute(trx)
  })
}

function isoOrNull(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString()
}
