import { sql } from 'kysely'
import type { CachedKey } from './cached-key.ts'
import type { Database } from './database.ts'
import { toKey } from './key-row.ts'

interface Row {
  readonly key_id: string
  readonly team_id: string | null
  readonly environment: string | null
  readonly version: string
}

/**
 * Reads the attributes of those keys whose row has changed since they were read (xmin, the transaction that wrote it), and
 * tells which have others now.
 */
export async function readAttributes(
  db: Database,
  keys: readonly CachedKey[],
  nowMs: number,
): Promise<CachedKey[]> {
  const changed: CachedKey[] = []
  if (keys.length === 0) return changed
  const byId = new Map(keys.map((key) => [key.keyId, key]))
  const versions = keys.map(({ version }) => version ?? null)
  const { rows } = await sql<Row>`
    select a.key_id, a.team_id, a.environment, a.version::text
    from unnest(${[...byId.keys()]}::text[], ${versions}::xid[]) as known (key_id, version)
    cross join lateral (
      select key_id, team_id, environment, xmin as version from api_key where key_id = known.key_id
      offset 0 -- keeps the planner from going through all keys for a thousand of them
    ) as a
    where a.version is distinct from known.version`.execute(db)
  for (const row of rows) {
    const key = byId.get(row.key_id)
    if (key === undefined) continue
    const before = key.attributes
    key.attributes = toKey(row)
    key.version = row.version
    const isSame =
      before.teamId === key.attributes.teamId && before.environment === key.attributes.environment
    if (!isSame) changed.push(key)
  }
  for (const key of keys) key.attributesAtMs = nowMs
  return changed
}
