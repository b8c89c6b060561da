import { sql } from 'kysely'
import type { Taught, TaughtKind } from '../../detect/taught.ts'
import type { Database } from './database.ts'

/** What is known of a key besides its usage; the engine's `KeyStanding`. */
interface Standing {
  readonly revokedSinceMs: number | undefined
  readonly taught: readonly Taught[]
}

interface Row {
  readonly key_id: string
  readonly revoked_since: Date | null
  readonly kind: TaughtKind | null
  readonly value: string | null
  readonly level: number | null
}

/** The standing of every key that is revoked, or about which something was taught that has not expired: a few of a fleet. */
export async function keyStandings(db: Database, nowMs: number): Promise<Map<string, Standing>> {
  const { rows } = await sql<Row>`
    select key_id, coalesce(state_since, 'epoch'::timestamptz) as revoked_since, null as kind, null as value, null::float8 as level
    from api_key
    where state = 'revoked'
    union all
    select key_id, null, kind, value, level
    from taught_value
    where expires_at > ${new Date(nowMs)}`.execute(db)
  const standings = new Map<string, Standing>()
  for (const row of rows) {
    const known = standings.get(row.key_id) ?? { revokedSinceMs: undefined, taught: [] }
    const taught =
      row.kind === null || row.value === null
        ? []
        : [{ kind: row.kind, value: row.value, level: row.level ?? undefined }]
    standings.set(row.key_id, {
      revokedSinceMs: row.revoked_since?.getTime() ?? known.revokedSinceMs,
      taught: [...known.taught, ...taught],
    })
  }
  return standings
}

/** What people called safe about one key and has not expired, for people to see. */
export async function taughtAbout(
  db: Database,
  keyId: string,
  nowMs: number,
): Promise<(Taught & { readonly until: Date })[]> {
  const rows = await db
    .selectFrom('taught_value')
    .selectAll()
    .where('key_id', '=', keyId)
    .where('expires_at', '>', new Date(nowMs))
    .orderBy('kind')
    .orderBy('value')
    .execute()
  return rows.map(({ kind, value, level, expires_at: until }) => ({
    kind,
    value,
    level: level ?? undefined,
    until,
  }))
}
