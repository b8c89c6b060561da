import { sql, type Selectable } from 'kysely'
import { SECOND_MS } from '../../usage/duration.ts'
import type { DeliveryStore } from '../delivery-store.ts'
import type { Database } from './database.ts'
import { readNotification } from './notification-source.ts'
import type { DeliveryTable } from './tables.ts'

/**
 * A message waits this long, at most, for the revocation policy to judge its alerts. The policy takes a second; should
 * nobody run it, people are told all the same.
 */
const DECISION_WAIT_MS = 15 * SECOND_MS

/** The outbox. */
export function createDeliveryStore(db: Database): DeliveryStore {
  return {
    async claimDue(claim) {
      const rows = await claimRows(db, claim)
      return Promise.all(
        rows.map(async (row) => ({
          id: row.id,
          channel: row.channel,
          type: row.type,
          attempts: row.attempts - 1,
          createdAt: row.created_at,
          notification: await readNotification(db, row, claim.nowMs),
        })),
      )
    },
    async settle(id, outcome, nowMs) {
      const now = new Date(nowMs)
      await db
        .updateTable('delivery')
        .set(
          outcome.kind === 'retry'
            ? { due_at: outcome.at, locked_until: null, last_error: outcome.error }
            : {
                state: outcome.kind,
                settled_at: now,
                locked_until: null,
                ...(outcome.kind === 'delivered'
                  ? { receipt: outcome.receipt }
                  : { last_error: outcome.error }),
              },
        )
        .where('id', '=', id)
        // A message that arrived stays delivered, whatever a slower sender says of it.
        .where('state', '=', 'pending')
        .execute()
    },
    async nextDueMs(except = []) {
      const { rows } = await sql<{ due_at: Date | null }>`
        select min(greatest(due_at, locked_until)) as due_at
        from delivery
        where state = 'pending' and channel <> all(${[...except]}::text[])`.execute(db)
      return rows[0]?.due_at?.getTime()
    },
  }
}

/**
 * Held back are the messages of alerts that the policy has not judged, and, so that they arrive in order, what follows an
 * opening message that waits on the same channel: a resolution until the opening was told or given up, the turns of
 * a revocation until it was tried.
 */
async function claimRows(
  db: Database,
  { nowMs, limit, leaseMs, except = [] }: Parameters<DeliveryStore['claimDue']>[0],
): Promise<Selectable<DeliveryTable>[]> {
  const now = new Date(nowMs)
  const { rows } = await sql<Selectable<DeliveryTable>>`
    with due as (
      select d.id
      from delivery as d
      where d.state = 'pending' and d.due_at <= ${now} and (d.locked_until is null or d.locked_until <= ${now})
        and d.channel <> all(${[...except]}::text[])
        and not (
          d.revocation_id is null
          and d.due_at > ${new Date(nowMs - DECISION_WAIT_MS)}
          and exists (
            select from alert as a
            where a.incident_id = d.incident_id and a.status <> 'resolved'
              and a.decided_severity is distinct from a.severity
          )
        )
        and not (
          d.type not in ('alert.opened', 'alert.repeated')
          and exists (
            select from delivery as before
            where before.incident_id = d.incident_id and before.channel = d.channel and before.state = 'pending'
              and before.type = 'alert.opened' and (d.type = 'alert.resolved' or before.attempts = 0)
          )
        )
      order by d.due_at, d.id
      limit ${limit}
      for update of d skip locked
    )
    update delivery as d
    -- Counted at the claim, so that a message that kills its sender is given up one day.
    set locked_until = ${new Date(nowMs + leaseMs)}, attempts = d.attempts + 1
    from due
    where d.id = due.id
    returning d.*`.execute(db)
  return rows.toSorted((a, b) => a.due_at.getTime() - b.due_at.getTime() || (a.id < b.id ? -1 : 1))
}
