import type { Selectable } from 'kysely'
import type { Silence } from '../../alert/silence.ts'
import type { Database } from './database.ts'
import type { SilenceTable } from './alert-tables.ts'

/** A row of `silence` as the silence it holds. */
export function toSilence(row: Selectable<SilenceTable>): Silence {
  return {
    id: row.id,
    matchers: row.matchers,
    alertId: row.alert_id ?? undefined,
    startsAt: row.starts_at,
    endsAt: row.ends_at,
    createdAt: row.created_at,
    createdBy: row.created_by,
    comment: row.comment,
    expiredAt: row.expired_at ?? undefined,
    expiredBy: row.expired_by ?? undefined,
  }
}

/** The silences that have begun and not ended, oldest first. */
export async function silencesInForce(db: Database, nowMs: number): Promise<Silence[]> {
  const now = new Date(nowMs)
  const rows = await db
    .selectFrom('silence')
    .selectAll()
    .where('expired_at', 'is', null)
    .where('starts_at', '<=', now)
    .where('ends_at', '>', now)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toSilence)
}
