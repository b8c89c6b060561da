import type { AlertStatus } from '../../alert/alert.ts'
import type { Database } from './database.ts'

/** How many alerts are open, by status: silenced ones are counted like all others. Every open status is in it. */
export async function countOpenAlerts(
  db: Database,
): Promise<{ readonly status: AlertStatus; readonly count: number }[]> {
  const rows = await db
    .selectFrom('alert')
    .select((select) => ['status', select.fn.countAll<number>().as('count')])
    .where('status', '<>', 'resolved')
    .groupBy('status')
    .execute()
  return (['firing', 'acknowledged', 'silenced'] as const).map((status) => ({
    status,
    count: rows.find((row) => row.status === status)?.count ?? 0,
  }))
}
