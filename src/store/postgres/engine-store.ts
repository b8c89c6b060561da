import { sql, type Selectable } from 'kysely'
import type { Profile } from '../../detect/profile.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { BUCKET_MS, bucketStart, type Rollup } from '../../usage/rollup.ts'
import { SOURCE_BUCKET_MS, type SourceUsage } from '../../usage/source.ts'
import type { EngineStore } from '../engine-store.ts'
import { toAlert } from './alert-row.ts'
import { commitTick } from './commit-tick.ts'
import type { Database } from './database.ts'
import { toKey, toRollup, toSource } from './key-row.ts'
import { busiestOf } from './key-sources.ts'
import { inShard } from './shard.ts'
import type { UsageRollupTable, UsageSourceTable } from './tables.ts'
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

type RollupRow = Selectable<UsageRollupTable> & { address: null }
type SourceRow = Selectable<UsageSourceTable>
type ActiveRow = (RollupRow | SourceRow) & { team_id: string | null; environment: string | null }

/** Cube and sources in one statement: what they say of a key is of the same moment. */
async function activeUsage(
  db: Database,
  ...[shard, { activeSinceMs, nowMs }]: Parameters<EngineStore['activeUsage']>
): Promise<KeyUsage[]> {
  const now = new Date(nowMs)
  const since = (bucketMs: number): Date => new Date(bucketStart(nowMs - RECENT_USAGE_MS, bucketMs))
  const counters = sql`requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced`
  // Ranges of the primary keys and hash joins: measured three times faster than a probe per key.
  const { rows } = await sql<ActiveRow>`
    with active as materialized (
      select distinct key_id
      from usage_rollup
      where bucket >= ${new Date(activeSinceMs)} and bucket <= ${now} and ${inShard(shard, sql.ref('key_id'))}
    )
    select u.*, k.team_id, k.environment
    from (
      select
        key_id, bucket, model, country, ${counters}, null::text as address, null::float8 as latitude,
        null::float8 as longitude, null::timestamptz as first_ts, null::timestamptz as last_ts
      from usage_rollup
      join active using (key_id)
      where bucket >= ${since(BUCKET_MS)} and bucket <= ${now}
      union all
      select
        key_id, bucket, null, country, ${counters}, address, latitude, longitude, first_ts, last_ts
      from ${busiestOf(sql`
        from usage_source as s
        join active using (key_id)
        where s.bucket >= ${since(SOURCE_BUCKET_MS)} and s.bucket <= ${now} and s.first_ts <= ${now}`)} as s
    ) as u
    left join api_key as k on k.key_id = u.key_id
    order by u.key_id, u.bucket, u.address nulls first, u.model, u.country`.execute(db)
  const usages: { key: KeyUsage['key']; rollups: Rollup[]; sources: SourceUsage[] }[] = []
  for (const row of rows) {
    let usage = usages.at(-1)
    if (usage?.key.keyId !== row.key_id) {
      usage = { key: toKey(row), rollups: [], sources: [] }
      usages.push(usage)
    }
    if (row.address === null) usage.rollups.push(toRollup(row))
    else usage.sources.push(toSource(row))
  }
  return usages
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
