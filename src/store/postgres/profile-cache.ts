import { getHeapStatistics } from 'node:v8'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import { storedProfile, type Profile, type StoredProfile } from '../../detect/profile.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import type { Database } from './database.ts'

/** A profile as it is used, with what detectors derive from it. */
const PROFILE_BYTES = 16 * 1024
/** Profiles that are kept as they are used: in half of what the heap may grow to, and in a small one as many as this. */
const PROFILES_KEPT = Math.max(12_000, Math.floor(getHeapStatistics().heap_size_limit / 2 / PROFILE_BYTES))
/** One that nobody asked for in so long makes room for another. */
const KEPT_UNASKED_MS = 2 * HOUR_MS
/** Those of a larger fleet are put aside compressed, some 2 KB each: unpacking one takes a tenth of what reading it does. */
const ASIDE_KEPT = 200_000
/** Read at a time: as many profiles are some 20 MB of text. */
const KEYS_PER_QUERY = 2_000

interface Row {
  readonly key_id: string
  /** Null when the key has no profile. */
  readonly version: string | null
  readonly state: StoredProfile | null
}

/** The keys without a row. */
async function missingOf(db: Database, keyIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ readonly key_id: string }>`
    select asked.key_id
    from unnest(${[...keyIds]}::text[]) as asked (key_id)
    where not exists (select from profile as p where p.key_id = asked.key_id)`.execute(db)
  return rows.map((row) => row.key_id)
}

/** A row for each of the keys. */
async function stored(db: Database, keyIds: readonly string[]): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    select asked.key_id, p.xmin::text as version, p.state
    from unnest(${[...keyIds]}::text[]) as asked (key_id)
    left join profile as p on p.key_id = asked.key_id`.execute(db)
  return rows
}

interface Known {
  readonly version: string
  readonly profile: Profile
}

interface Packed {
  readonly version: string
  readonly packed: Buffer
}

/**
 * Reads profiles, and reads again only what has changed. A profile changes once an hour and ticks come every few
 * seconds; reading and parsing it costs a hundred times what asking for its version does. The version is that of the
 * row (xmin, the transaction that wrote it), so whoever writes it, here or in another process, is seen at once.
 */
export class ProfileCache {
  /**
   * When it is full what comes is put aside, and nothing makes room: ticks ask for all keys of a fleet in turns, and of a
   * fleet that is a little too large the one that was used longest ago would always be the one that is asked for next.
   */
  readonly #known: LRUCache<string, Known>
  readonly #kept: number
  /** Made when it is needed, which in most fleets is never: it takes its room at once. */
  #aside: LRUCache<string, Packed> | undefined

  constructor({ kept = PROFILES_KEPT }: { readonly kept?: number } = {}) {
    this.#kept = kept
    this.#known = new LRUCache({
      max: kept,
      ttl: KEPT_UNASKED_MS,
      ttlResolution: MINUTE_MS,
      updateAgeOnGet: true,
      dispose: (known, keyId, reason) => {
        if (reason === 'expire') this.#putAside(keyId, known)
      },
    })
  }

  /** Versions are asked for at once: of many keys the database goes through the table, which is quicker than to look each up. */
  async read(db: Database, keyIds: readonly string[]): Promise<Map<string, Profile>> {
    const changed = new Map<string, Row>()
    const toRead = await this.#changedIn(db, keyIds)
    for (let from = 0; from < toRead.length; from += KEYS_PER_QUERY)
      for (const row of await stored(db, toRead.slice(from, from + KEYS_PER_QUERY)))
        changed.set(row.key_id, row)
    const profiles = new Map<string, Profile>()
    for (const keyId of keyIds) {
      const row = changed.get(keyId)
      const profile = row === undefined ? this.#profileOf(keyId) : this.#changed(row)
      if (profile !== undefined) profiles.set(keyId, profile)
    }
    return profiles
  }

  /** What this process has just written is not read back. */
  saved(profile: Profile, version: string): void {
    this.#keep(profile.keyId, { version, profile })
  }

  #keep(keyId: string, known: Known): void {
    if (this.#known.size < this.#kept || this.#known.has(keyId)) this.#known.set(keyId, known)
    else this.#putAside(keyId, known)
  }

  /** The keys whose row is another than the one that is known, or is gone. */
  async #changedIn(db: Database, keyIds: readonly string[]): Promise<string[]> {
    if (keyIds.length === 0) return []
    if (this.#known.size === this.#kept) this.#known.purgeStale()
    const versions = keyIds.map(
      (keyId) => (this.#known.get(keyId) ?? this.#aside?.get(keyId))?.version ?? null,
    )
    // An inner join, so that the keys that are asked for are hashed and not the table.
    const { rows } = await sql<{ readonly changed: readonly string[] | null; readonly still: number }>`
      select
        array_agg(p.key_id) filter (where p.xmin is distinct from known.version) as changed,
        (count(*) filter (where known.version is not null))::int as still
      from unnest(${[...keyIds]}::text[], ${versions}::xid[]) as known (key_id, version)
      join profile as p on p.key_id = known.key_id`.execute(db)
    const changed = [...(rows[0]?.changed ?? [])]
    const known = keyIds.filter((_, index) => versions[index] !== null)
    return known.length === (rows[0]?.still ?? 0) ? changed : [...changed, ...(await missingOf(db, known))]
  }

  #changed({ key_id: keyId, version, state }: Row): Profile | undefined {
    if (version === null || state === null) {
      this.#known.delete(keyId)
      this.#aside?.delete(keyId)
      return undefined
    }
    const profile = storedProfile(state)
    this.#keep(keyId, { version, profile })
    return profile
  }

  #profileOf(keyId: string): Profile | undefined {
    const known = this.#known.get(keyId)
    if (known !== undefined) return known.profile
    const aside = this.#aside?.get(keyId)
    if (aside === undefined) return undefined
    // Sound because #putAside is all that packs.
    const profile = JSON.parse(inflateRawSync(aside.packed).toString()) as Profile
    this.#keep(keyId, { version: aside.version, profile })
    return profile
  }

  #putAside(keyId: string, { version, profile }: Known): void {
    this.#aside ??= new LRUCache({ max: ASIDE_KEPT })
    if (this.#aside.get(keyId)?.version === version) return
    this.#aside.set(keyId, { version, packed: deflateRawSync(JSON.stringify(profile), { level: 3 }) })
  }
}
