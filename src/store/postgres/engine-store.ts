import { sql } from 'kysely'
import { SECOND_MS } from '../../usage/duration.ts'
import type { EngineStore } from '../engine-store.ts'
import { toAlert } from './alert-row.ts'
import { commitTick } from './commit-tick.ts'
import type { Database } from './database.ts'
import { readHabits, saveHabits } from './key-habits.ts'
import { ProfileCache } from './profile-cache.ts'
import { saveProfiles } from './save-profiles.ts'
import { inShard } from './shard.ts'
import { ShardUsages } from './shard-usages.ts'
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
  const shards = new ShardUsages(db)
  return {
    look: (shard, range, basis) => shards.look(shard, range, basis),
    profiles: (keyIds) => profileCache.read(db, keyIds),
    unlearntHours: (shard, range) => unlearntHours(db, settleMs, shard, range),
    silentKeys: (shard, range) => silentKeys(db, shard, range),
    async saveProfiles(profiles) {
      const versions = await saveProfiles(db, profiles)
      for (const profile of profiles) {
        const version = versions.get(profile.keyId)
        if (version !== undefined) profileCache.saved(profile, version)
      }
      shards.learnt([...versions.keys()])
    },
    saveHabits: (habits) => saveHabits(db, habits),
    habits: (range) => readHabits(db, range),
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
