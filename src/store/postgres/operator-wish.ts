import { randomUUID } from 'node:crypto'
import { sql, type Insertable, type Selectable } from 'kysely'
import type { OperatorWish, Revocation } from '../revocation-store.ts'
import { toAlert } from './alert-row.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { firstAbuseAt } from './first-abuse.ts'
import { lock } from './lock.ts'
import { strikesOf } from './policy-facts.ts'
import { readRevocations, standingOf } from './revocation-row.ts'
import type { RevocationTable } from './revocation-tables.ts'

type Row = Selectable<RevocationTable>

/** The actor of what ends by itself. */
const TIMER = 'timer'

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
    if (standing.state !== 'restoring') return prolonged(trx, wish, standing)
    // Not the same row again: its request id has been used, and a gateway would take the new call for a repeat.
    await change(trx, wish, standing, { state: 'failed', actor: standing.actor, action: 'restore.withdrawn' })
    return insertWish(trx, wish, { state: 'pending', notBefore: standing.locked_until })
  })
}

/** Approves the proposal of this id and no other: what has been decided since, by a person or not, stands. */
export async function approve(
  db: Database,
  id: string,
  act: Omit<OperatorWish, 'keyId'>,
): Promise<Revocation | undefined> {
  if (!isUuid(id)) return undefined
  const [revocation] = await db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const row = await trx
      .selectFrom('revocation')
      .selectAll()
      .where('id', '=', id)
      .where('state', '=', 'proposed')
      .executeTakeFirst()
    if (row === undefined) return []
    const wish = { ...act, keyId: row.key_id }
    return readRevocations(trx, [
      await change(trx, wish, row, { state: 'pending', actor: act.actor, action: 'revocation.approved' }),
    ])
  })
  return revocation
}

/** A wish for a key that is revoked already changes how long it stays so, if it says how long. */
async function prolonged(db: Database, wish: OperatorWish, standing: Row): Promise<Row> {
  if (wish.restoreAt === undefined) return standing
  await audit(db, wish, { subject: standing.id, action: 'revocation.timed' })
  return db
    .updateTable('revocation')
    .set({ restore_at: wish.restoreAt })
    .where('id', '=', standing.id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Turns what was to last until now into a wish to restore: the timer's. */
export async function restoreDue(db: Database, nowMs: number): Promise<Revocation[]> {
  const now = new Date(nowMs)
  const due = (trx: Database): Promise<Row[]> =>
    trx
      .selectFrom('revocation')
      .selectAll()
      .where('restore_at', '<=', now)
      .where('state', 'in', ['revoked', 'confirmed'])
      .where('means', '<>', 'delete')
      .execute()
  // Asked every second; the lock is taken only when there is something to do.
  if ((await due(db)).length === 0) return []
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const rows: Row[] = []
    for (const row of await due(trx)) {
      const wish = { keyId: row.key_id, actor: TIMER, reason: 'its time was over', nowMs }
      rows.push(
        await change(trx, wish, row, { state: 'restoring', actor: TIMER, action: 'restore.requested' }),
      )
    }
    return readRevocations(trx, rows)
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

function isUuid(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)
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
    .selectAll()
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
      restore_at: wish.restoreAt ?? null,
      strikes: (await strikesOf(db, wish.keyId))?.count ?? 0,
      first_abuse_at: alert === undefined ? null : ((await firstAbuseAt(db, toAlert(alert))) ?? null),
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
    // The timer has fired, or the wish of a person overrules it.
    restore_at: state === 'restoring' ? null : (wish.restoreAt ?? standing.restore_at),
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
