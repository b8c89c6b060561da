import { randomUUID } from 'node:crypto'
import { sql, type Insertable, type Selectable } from 'kysely'
import type { OperatorWish, Revocation } from '../revocation-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import { readRevocations, standingOf } from './revocation-row.ts'
import type { RevocationTable } from './tables.ts'

type Row = Selectable<RevocationTable>

/**
 * Revokes a key because a person says so: approves what is proposed, gives back what is under way or done, and else makes
 * a new revocation, tied to the key's worst open alert so that its channels hear of it.
 */
export async function requestRevoke(db: Database, wish: OperatorWish): Promise<Revocation> {
  return inTurn(db, async (trx) => {
    const standing = await standingOf(trx, wish.keyId)
    if (standing === undefined) return insertWish(trx, wish, { state: 'pending' })
    if (standing.state === 'proposed') {
      return change(trx, wish, standing, {
        state: 'pending',
        actor: wish.actor,
        action: 'revocation.approved',
      })
    }
    if (standing.state !== 'restoring') return standing
    // Not the same row again: its request id has been used, and a gateway would take the new call for a repeat.
    await change(trx, wish, standing, { state: 'failed', actor: standing.actor, action: 'restore.withdrawn' })
    return insertWish(trx, wish, { state: 'pending', notBefore: standing.locked_until })
  })
}

/** Gives a key back: undoes the revocation that stands; a key without one gets a restore all the same. */
export async function requestRestore(db: Database, wish: OperatorWish): Promise<Revocation> {
  return inTurn(db, async (trx) => {
    const standing = await standingOf(trx, wish.keyId)
    if (standing === undefined) return insertWish(trx, wish, { state: 'restoring' })
    if (standing.state === 'restoring') return standing
    return change(trx, wish, standing, { state: 'restoring', actor: wish.actor, action: 'restore.requested' })
  })
}

async function inTurn(db: Database, work: (trx: Database) => Promise<Row>): Promise<Revocation> {
  const [revocation] = await db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    return readRevocations(trx, [await work(trx)])
  })
  if (revocation === undefined) throw new Error('the revocation that was just written is gone')
  return revocation
}

async function insertWish(
  db: Database,
  wish: OperatorWish,
  { state, notBefore = null }: { readonly state: 'pending' | 'restoring'; readonly notBefore?: Date | null },
): Promise<Row> {
  const now = new Date(wish.nowMs)
  const alert = await db
    .selectFrom('alert')
    .select(['id', 'incident_id'])
    .where('key_id', '=', wish.keyId)
    .where('status', '<>', 'resolved')
    .orderBy(sql`array_position(array['critical', 'warning', 'info'], severity)`)
    .orderBy('opened_at')
    .limit(1)
    .executeTakeFirst()
  const revocation = await db
    .insertInto('revocation')
    .values({
      id: randomUUID(),
      key_id: wish.keyId,
      alert_id: alert?.id ?? null,
      incident_id: alert?.incident_id ?? null,
      state,
      reason: wish.reason,
      actor: wish.actor,
      created_at: now,
      updated_at: now,
      due_at: notBefore !== null && notBefore > now ? notBefore : now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await audit(db, wish, {
    subject: revocation.id,
    action: state === 'pending' ? 'revocation.requested' : 'restore.requested',
  })
  return revocation
}

/** Moves a revocation on. A call that is under way keeps its lock: the new one starts when that has ended. */
async function change(
  db: Database,
  wish: OperatorWish,
  standing: Row,
  { state, actor, action }: { state: Row['state']; actor: string; action: string },
): Promise<Row> {
  const now = new Date(wish.nowMs)
  const set: Partial<Insertable<RevocationTable>> = {
    state,
    actor,
    attempts: 0,
    updated_at: now,
    due_at: now,
    last_error: null,
  }
  if (state === 'failed') set.last_error = `withdrawn by ${wish.actor}: ${wish.reason}`
  await audit(db, wish, { subject: standing.id, action })
  return db
    .updateTable('revocation')
    .set(set)
    .where('id', '=', standing.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function audit(
  db: Database,
  { keyId, actor, reason, nowMs }: OperatorWish,
  { subject, action }: { subject: string; action: string },
): Promise<void> {
  await appendAudit(db, [{ at: new Date(nowMs), actor, action, keyId, subject, detail: { reason } }])
}
