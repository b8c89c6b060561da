import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import type { Halt, HaltCause } from '../revocation-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import type { ResponseHaltTable } from './revocation-tables.ts'

/** Halts in force, oldest first. */
export async function openHalts(db: Database): Promise<Halt[]> {
  const rows = await db
    .selectFrom('response_halt')
    .selectAll()
    .where('ended_at', 'is', null)
    .orderBy('started_at')
    .orderBy('id')
    .execute()
  return rows.map(toHalt)
}

interface HaltAct extends Pick<Halt, 'cause' | 'reason' | 'actor'> {
  readonly nowMs: number
}

/** Begins a halt, in a transaction of its own. The one of its cause that is in force stays as it is. */
export async function beginHalt(db: Database, act: HaltAct): Promise<Halt> {
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    return writeHalt(trx, act)
  })
}

/** Begins a halt in the transaction that holds the alerting lock. */
export async function writeHalt(db: Database, { cause, reason, actor, nowMs }: HaltAct): Promise<Halt> {
  const now = new Date(nowMs)
  const open = db
    .selectFrom('response_halt')
    .selectAll()
    .where('cause', '=', cause)
    .where('ended_at', 'is', null)
  const known = await open.executeTakeFirst()
  if (known !== undefined) return toHalt(known)
  const halt = await db
    .insertInto('response_halt')
    .values({ id: randomUUID(), cause, reason, actor, started_at: now })
    .returningAll()
    .executeTakeFirstOrThrow()
  await appendAudit(db, [
    { at: now, actor, action: 'revocations.halted', subject: halt.id, detail: { cause, reason } },
  ])
  return toHalt(halt)
}

/**
 * Ends the halts of these causes. The alerts that are open and were refused because of them are judged anew: what looked
 * like an outage may have hidden a theft.
 */
export async function endHalts(
  db: Database,
  causes: readonly HaltCause[],
  { actor, nowMs }: { readonly actor: string; readonly nowMs: number },
): Promise<Halt[]> {
  if (causes.length === 0) return []
  const now = new Date(nowMs)
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const ended = await trx
      .updateTable('response_halt')
      .set({ ended_at: now, ended_by: actor })
      .where('ended_at', 'is', null)
      .where('cause', 'in', [...causes])
      .returningAll()
      .execute()
    for (const { id, cause, started_at: startedAt } of ended) {
      await sql`
        update alert set decided_severity = null
        where status <> 'resolved' and id in (
          select alert_id from revocation
          where state = 'refused' and halt = ${cause} and updated_at >= ${startedAt}
        )`.execute(trx)
      await appendAudit(trx, [
        { at: now, actor, action: 'revocations.resumed', subject: id, detail: { cause } },
      ])
    }
    return ended.map(toHalt)
  })
}

function toHalt(row: Selectable<ResponseHaltTable>): Halt {
  return {
    id: row.id,
    cause: row.cause,
    reason: row.reason,
    actor: row.actor,
    startedAt: row.started_at,
    endedAt: row.ended_at ?? undefined,
    endedBy: row.ended_by ?? undefined,
  }
}
