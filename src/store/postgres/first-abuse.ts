import { sql } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import type { JsonValue } from '../../detect/finding.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { Database } from './database.ts'

const WINDOW_MAX_MS = 6 * HOUR_MS

/**
 * When the abuse that the alert tells of began: the first request of the key in the window that was judged, of what was
 * new in it where that is a country or a model. Never later than it was, so that the times that follow from it are rather
 * too long than too short. Undefined when no raw event is left of it, and for windows of many hours: of a limit that is
 * reached over days nobody can say, and to read them would hold up all other alerts.
 */
export async function firstAbuseAt(db: Database, alert: Alert): Promise<Date | undefined> {
  const { metric, observed, window } = alert.evidence
  const startMs = Date.parse(window.start)
  if (Number.isNaN(startMs) || alert.openedAt.getTime() - startMs > WINDOW_MAX_MS) return undefined
  const values = textsOf(observed)
  const isNewValue = (metric === 'country' || metric === 'model') && values.length > 0
  const column = metric === 'country' ? sql.ref('country') : sql.ref('model')
  const { rows } = await sql<{ first: Date | null }>`
    select min(ts) as first
    from usage_event
    where key_id = ${alert.keyId} and ts >= ${new Date(startMs)} and ts <= ${alert.openedAt}
      and ${isNewValue ? sql`${column} = any(${values}::text[])` : sql`true`}`.execute(db)
  return rows[0]?.first ?? undefined
}

/** `RO`, `[RO, BG]` or `{ RO: 3, BG: 1 }`. */
function textsOf(observed: JsonValue): string[] {
  if (typeof observed === 'string') return [observed]
  if (typeof observed !== 'object' || observed === null) return []
  if (!Array.isArray(observed)) return Object.keys(observed)
  return (observed as readonly JsonValue[]).filter((value) => typeof value === 'string')
}
