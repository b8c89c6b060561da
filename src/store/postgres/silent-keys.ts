import { sql } from 'kysely'
import type { KeyUsage } from '../../usage/key-usage.ts'
import type { EngineStore } from '../engine-store.ts'
import type { Database } from './database.ts'
import { toKey } from './key-row.ts'
import { inShard } from './shard.ts'

interface SilentRow {
  key_id: string
  team_id: string | null
  environment: string | null
}

/** Keys whose silence went beyond their habit within a span of time. A range of one small index, however many keys there are. */
export async function silentKeys(
  db: Database,
  ...[shard, { fromMs, toMs, limit }]: Parameters<EngineStore['silentKeys']>
): Promise<KeyUsage[]> {
  const { rows } = await sql<SilentRow>`
    select p.key_id, k.team_id, k.environment
    from profile as p
    left join api_key as k on k.key_id = p.key_id
    where p.silent_from > ${new Date(fromMs)} and p.silent_from <= ${new Date(toMs)}
      and ${inShard(shard, sql.ref('p.key_id'))}
      -- What was used since is not silent: the hour is not learnt yet.
      and not exists (select from unlearnt_hour as u where u.key_id = p.key_id and u.hour >= p.learned_until)
    order by p.silent_from, p.key_id
    limit ${limit}`.execute(db)
  return rows.map((row) => ({ key: toKey(row), rollups: [], sources: [] }))
}
