import { sql, type Selectable } from 'kysely'
import type { Profile } from '../../detect/profile.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { BUCKET_MS, bucketStart, type Rollup } from '../../usage/rollup.ts'
import type { EngineStore } from '../engine-store.ts'
import { toAlert } from './alert-row.ts'
import { commitTick } from './commit-tick.ts'
import type { Database } from './database.ts'
import { toKey, toRollup } from './key-row.ts'
import { recentSources } from './key-sources.ts'
import { inShard } from './shard.ts'
import type { UsageRollupTable } from './tables.ts'
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
  return {
    activeUsage: (shard, range) => activeUsage(db, shard, range),
    profiles: (keyIds) => profiles(db, keyIds),
    unlearntHours: (shard, range) => unlearntHours(db, settleMs, shard, range),
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

type ActiveRow = Selectable<UsageRollupTable> & { team_id: string | null; environment: string | null }

/** Two reads of one moment, so that cube and sources tell of the same requests; one read of both took half as long again. */
async function activeUsage(
  db: Database,
  ...[shard, { activeSinceMs, nowMs }]: Parameters<EngineStore['activeUsage']>
): Promise<KeyUsage[]> {
  const now = new Date(nowMs)
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      // Two ranges of the primary key and a hash join: measured three times faster than a probe per key.
      const { rows } = await sql<ActiveRow>`
        with active as materialized (
          select distinct key_id
          from usage_rollup
          where bucket >= ${new Date(activeSinceMs)} and bucket <= ${now} and ${inShard(shard, sql.ref('key_id'))}
        )
        select r.*, k.team_id, k.environment
        from usage_rollup as r
        join active on active.key_id = r.key_id
        left join api_key as k on k.key_id = r.key_id
        where r.bucket >= ${new Date(bucketStart(nowMs - RECENT_USAGE_MS, BUCKET_MS))} and r.bucket <= ${now}
        order by r.key_id, r.bucket, r.model, r.country`.execute(trx)
      const usages: { key: KeyUsage['key']; rollups: Rollup[] }[] = []
      for (const row of rows) {
        const last = usages.at(-1)
        if (last?.key.keyId === row.key_id) last.rollups.push(toRollup(row))
        else usages.push({ key: toKey(row), rollups: [toRollup(row)] })
      }
      const keyIds = usages.map(({ key }) => key.keyId)
      const sources = await recentSources(trx, keyIds, nowMs)
      return usages.map((usage) => ({ ...usage, sources: sources.get(usage.key.keyId) ?? [] }))
    })
}

async function profiles(db: Database, keyIds: readonly string[]): Promise<Map<string, Profile>> {
  if (keyIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('profile')
    .select(['key_id', 'state'])
    .where(sql<boolean>`key_id = any(${[...keyIds]}::text[])`)
    .execute()
  return new Map(rows.map((row) => [row.key_id, row.state]))
}

/** Profiles, and in the same transaction the hours that they have learnt off the list of hours to learn. */
async function saveProfiles(db: Database, saved: readonly Profile[]): Promise<void> {
  if (saved.length === 0) return
  const keyIds = saved.map((profile) => profile.keyId)
  const learnedUntil = saved.map((profile) => new Date(profile.learnedUntilMs).toISOString())
  await db.transaction().execute(async (trx) => {
    await sql`
      insert into profile (key_id, learned_until, state)
      select key_id, learned_until, state
      from unnest(${keyIds}::text[], ${learnedUntil}::timestamptz[], ${saved.map((profile) => JSON.stringify(profile))}::jsonb[])
        as saved (key_id, learned_until, state)
      order by key_id collate "C"
      on conflict (key_id) do update set learned_until = excluded.learned_until, state = excluded.state
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
