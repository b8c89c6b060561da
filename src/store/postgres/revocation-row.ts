import type { Selectable } from 'kysely'
import type { Revocation, RevocationState } from '../revocation-store.ts'
import { toAlert } from './alert-row.ts'
import type { Database } from './database.ts'
import type { RevocationTable } from './tables.ts'

/** States in which a revocation stands: a key has one such at the most, says the index revocation_standing. */
export const STANDING: readonly RevocationState[] = ['proposed', 'pending', 'revoked', 'restoring']

/** Rows of `revocation` with the alerts that led to them, in the same order. */
export async function readRevocations(
  db: Database,
  rows: readonly Selectable<RevocationTable>[],
): Promise<Revocation[]> {
  const ids = rows.flatMap((row) => row.alert_id ?? [])
  const alerts =
    ids.length === 0 ? [] : await db.selectFrom('alert').selectAll().where('id', 'in', ids).execute()
  const byId = new Map(alerts.map((row) => [row.id, toAlert(row)]))
  return rows.map((row) => ({
    id: row.id,
    keyId: row.key_id,
    alert: row.alert_id === null ? undefined : byId.get(row.alert_id),
    incidentId: row.incident_id ?? undefined,
    state: row.state,
    reason: row.reason,
    actor: row.actor,
    attempts: row.attempts,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastError: row.last_error ?? undefined,
  }))
}

/** The revocation of the key that stands, if any. Call it under the alerting lock. */
export async function standingOf(
  db: Database,
  keyId: string,
): Promise<Selectable<RevocationTable> | undefined> {
  return db
    .selectFrom('revocation')
    .selectAll()
    .where('key_id', '=', keyId)
    .where('state', 'in', [...STANDING])
    .executeTakeFirst()
}
