import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import { storedProfile, type Profile, type StoredProfile } from '../../detect/profile.ts'
import type { Database } from './database.ts'

/** Profiles kept in memory, some 10 KB each. A tick with more active keys reads the rest again. */
const PROFILES_KEPT = 12_000

/**
 * Reads profiles, and reads again only what has changed. A profile changes once an hour and ticks come every few
 * seconds; reading and parsing it costs a hundred times what asking for its version does. The version is that of the
 * row (xmin, the transaction that wrote it), so whoever writes it, here or in another process, is seen at once.
 */
export class ProfileCache {
  readonly #known = new LRUCache<string, { readonly version: string; readonly profile: Profile }>({
    max: PROFILES_KEPT,
  })

  async read(db: Database, keyIds: readonly string[]): Promise<Map<string, Profile>> {
    if (keyIds.length === 0) return new Map()
    const profiles = new Map<string, Profile>()
    const unread: string[] = []
    for (const { key_id: keyId, version } of await versions(db, keyIds)) {
      const known = this.#known.get(keyId)
      if (known?.version === version) profiles.set(keyId, known.profile)
      else unread.push(keyId)
    }
    // It may have changed once more since: what counts is the version that comes with it.
    for (const { key_id: keyId, version, state } of await states(db, unread)) {
      const profile = storedProfile(state)
      this.#known.set(keyId, { version, profile })
      profiles.set(keyId, profile)
    }
    return profiles
  }
}

async function versions(
  db: Database,
  keyIds: readonly string[],
): Promise<{ key_id: string; version: string }[]> {
  const { rows } = await sql<{ key_id: string; version: string }>`
    select key_id, xmin::text as version from profile where key_id = any(${[...keyIds]}::text[])`.execute(db)
  return rows
}

async function states(
  db: Database,
  keyIds: readonly string[],
): Promise<{ key_id: string; version: string; state: StoredProfile }[]> {
  if (keyIds.length === 0) return []
  const { rows } = await sql<{ key_id: string; version: string; state: StoredProfile }>`
    select key_id, xmin::text as version, state from profile where key_id = any(${[...keyIds]}::text[])`.execute(
    db,
  )
  return rows
}
