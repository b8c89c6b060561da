import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import { teachingOf, type Taught } from '../../detect/taught.ts'
import type { VerdictAct, VerdictOutcome } from '../operator-store.ts'
import { toAlert } from './alert-row.ts'
import { appendAudit } from './audit.ts'
import { acknowledgeLocked, resolveLocked } from './change-alert.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import type { AlertTable } from './alert-tables.ts'

/** Writes what a person says of an alert, and what follows from it, in one transaction under the alerting lock. */
export async function giveVerdict(
  db: Database,
  id: string,
  act: VerdictAct,
): Promise<VerdictOutcome | undefined> {
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const row = await trx.selectFrom('alert').selectAll().where('id', '=', id).executeTakeFirst()
    if (row === undefined) return undefined
    const verdictId = await writeVerdict(trx, row, act)
    const frozen = act.verdict === 'compromised'
    await setFrozen(trx, row.key_id, { frozen, now: new Date(act.nowMs) })
    // What was taught by a verdict that is taken back is taught no more.
    await forget(trx, row.key_id, teachingOf(toAlert(row)))
    const taught = act.verdict === 'safe' ? teachingOf(toAlert(row)) : []
    const taughtUntil = new Date(act.nowMs + act.safeForMs)
    await teach(trx, taught, { row, verdictId, act, taughtUntil })
    const asOperator = { actor: act.actor, note: `verdict: ${act.verdict}`, nowMs: act.nowMs }
    const alert = frozen
      ? await acknowledgeLocked(trx, id, { ...asOperator, wholeIncident: true })
      : await resolveLocked(trx, id, asOperator)
    if (alert === undefined) throw new Error(`alert ${id} is gone`)
    return { alert, taught, taughtUntil: taught.length === 0 ? undefined : taughtUntil, frozen }
  })
}

async function writeVerdict(
  db: Database,
  row: Selectable<AlertTable>,
  { verdict, comment, actor, nowMs }: VerdictAct,
): Promise<string> {
  const at = new Date(nowMs)
  const id = randomUUID()
  await db
    .insertInto('verdict')
    .values({ id, alert_id: row.id, key_id: row.key_id, verdict, at, actor, comment: comment ?? null })
    .execute()
  await db.updateTable('alert').set({ verdict }).where('id', '=', row.id).execute()
  const note = `${verdict}${comment === undefined ? '' : `: ${comment}`}`
  await db
    .insertInto('alert_history')
    .values({ alert_id: row.id, at, change: 'verdict', severity: row.severity, actor, note })
    .execute()
  await appendAudit(db, [
    {
      at,
      actor,
      action: `alert.verdict.${verdict}`,
      keyId: row.key_id,
      subject: row.id,
      detail: { comment: comment ?? null },
    },
  ])
  return id
}

/** A key may be judged of which only alerts are left. Frozen twice, it stays frozen since the first time. */
async function setFrozen(
  db: Database,
  keyId: string,
  { frozen, now }: { readonly frozen: boolean; readonly now: Date },
): Promise<void> {
  await sql`
    insert into api_key (key_id, first_seen_at, frozen_at) values (${keyId}, ${now}, ${frozen ? now : null})
    on conflict (key_id) do update
      set frozen_at = case when ${frozen} then coalesce(api_key.frozen_at, excluded.frozen_at) end`.execute(
    db,
  )
}

async function forget(db: Database, keyId: string, taught: readonly Taught[]): Promise<void> {
  for (const { kind, value } of taught) {
    await db
      .deleteFrom('taught_value')
      .where('key_id', '=', keyId)
      .where('kind', '=', kind)
      .where('value', '=', value)
      .execute()
  }
}

async function teach(
  db: Database,
  taught: readonly Taught[],
  {
    row,
    verdictId,
    act,
    taughtUntil,
  }: {
    readonly row: Selectable<AlertTable>
    readonly verdictId: string
    readonly act: VerdictAct
    readonly taughtUntil: Date
  },
): Promise<void> {
  if (taught.length === 0) return
  await db
    .insertInto('taught_value')
    .values(
      taught.map(({ kind, value, level }) => ({
        key_id: row.key_id,
        kind,
        value,
        level: level ?? null,
        taught_at: new Date(act.nowMs),
        expires_at: taughtUntil,
        verdict_id: verdictId,
      })),
    )
    .execute()
}
