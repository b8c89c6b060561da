import type { Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import type { Containment } from '../../alert/containment.ts'
import type { Revocation, RevocationState } from '../revocation-store.ts'
import { toAlert } from './alert-row.ts'
import type { Database } from './database.ts'
import { keyAttributes } from './key-row.ts'
import type { RevocationTable } from './revocation-tables.ts'

/** States in which a revocation stands: a key has one such at the most, says the index revocation_standing. */
export const STANDING: readonly RevocationState[] = [
  'proposed',
  'pending',
  'revoked',
  'confirmed',
  'restoring',
]

/** Rows of `revocation` with the alerts that led to them, in the same order. */
export async function readRevocations(
  db: Database,
  rows: readonly Selectable<RevocationTable>[],
): Promise<Revocation[]> {
  if (rows.length === 0) return []
  const ids = rows.flatMap((row) => row.alert_id ?? [])
  const alerts =
    ids.length === 0 ? [] : await db.selectFrom('alert').selectAll().where('id', 'in', ids).execute()
  const byId = new Map(alerts.map((row) => [row.id, toAlert(row)]))
  const keys = await keyAttributes(
    db,
    rows.map((row) => row.key_id),
  )
  return rows.map((row) => {
    const alert = row.alert_id === null ? undefined : byId.get(row.alert_id)
    return {
      id: row.id,
      keyId: row.key_id,
      key: keys.get(row.key_id) ?? { keyId: row.key_id, teamId: undefined, environment: undefined },
      alert,
      incidentId: row.incident_id ?? undefined,
      state: row.state,
      reason: row.reason,
      actor: row.actor,
      means: row.means ?? undefined,
      round: row.round,
      attempts: row.attempts,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      containment: containmentOf(row, alert),
      stillUsedAt: row.still_used_at ?? undefined,
      restoreAt: row.restore_at ?? undefined,
      strikes: row.strikes,
      memo: row.memo ?? undefined,
      lastError: row.last_error ?? undefined,
    }
  })
}

/** How far the abuse that led to the revocation has been stopped. */
export function containmentOf(
  row: Pick<Selectable<RevocationTable>, 'first_abuse_at' | 'revoked_at' | 'confirmed_at'>,
  alert: Pick<Alert, 'openedAt'> | undefined,
): Containment {
  return {
    firstAbuseAt: row.first_abuse_at ?? undefined,
    alertAt: alert?.openedAt,
    revokedAt: row.revoked_at ?? undefined,
    confirmedAt: row.confirmed_at ?? undefined,
  }
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
