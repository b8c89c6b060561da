import { sql } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { quietFromMs } from '../../alert/triage.ts'
import { severityRank, type Finding } from '../../detect/finding.ts'
import { toAlert } from './alert-row.ts'
import type { Database } from './database.ts'

/**
 * The findings that open an alert, without those that go on with what a person has called expected and closed: these are
 * only noted there, until the alert has been quiet, or what is found is worse than what was judged.
 */
export async function absorbExpected<Opening extends { readonly finding: Finding }>(
  db: Database,
  opening: readonly Opening[],
  { nowMs, resolveAfterMs = 0 }: { readonly nowMs: number; readonly resolveAfterMs?: number | undefined },
): Promise<Opening[]> {
  if (opening.length === 0) return []
  const rows = await db
    .selectFrom('alert')
    .selectAll()
    .where('status', '=', 'resolved')
    .where('verdict', '=', 'expected')
    .where(sql<boolean>`key_id = any(${opening.map(({ finding }) => finding.keyId)}::text[])`)
    .execute()
  const going = rows.map(toAlert).filter((alert) => quietFromMs(alert, resolveAfterMs) > nowMs)
  const absorbed: Alert[] = []
  const left = opening.filter(({ finding }) => {
    const expected = going.find((alert) => goesOnWith(alert, finding))
    if (expected !== undefined) absorbed.push(expected)
    return expected === undefined
  })
  if (absorbed.length > 0) {
    await db
      .updateTable('alert')
      .set((set) => ({
        last_seen_at: sql<Date>`greatest(last_seen_at, ${new Date(nowMs)})`,
        occurrences: set('occurrences', '+', 1),
      }))
      .where(sql<boolean>`id = any(${absorbed.map(({ id }) => id)}::uuid[])`)
      .where('last_seen_at', '<', new Date(nowMs))
      .execute()
  }
  return left
}

function goesOnWith(alert: Alert, finding: Finding): boolean {
  return (
    alert.detector === finding.detector &&
    alert.keyId === finding.keyId &&
    alert.scope === finding.scope &&
    severityRank(finding.severity) <= severityRank(alert.severity)
  )
}
