import type { Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import type { AcknowledgeAct, OperatorAct } from '../operator-store.ts'
import { toAlert } from './alert-row.ts'
import { insertDeliveries, toldChannels } from './announce-incidents.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import type { AlertTable } from './alert-tables.ts'

type Row = Selectable<AlertTable>

/**
 * Somebody looks after an alert: no more repeats and no escalation, until `until` if that is given. When nothing of its
 * incident fires any more, the channels that were told hear of it.
 */
export async function acknowledgeAlert(
  db: Database,
  id: string,
  act: AcknowledgeAct,
): Promise<Alert | undefined> {
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    return acknowledgeLocked(trx, id, act)
  })
}

/** As `acknowledgeAlert`, for who holds the alerting lock. */
export async function acknowledgeLocked(
  trx: Database,
  id: string,
  act: AcknowledgeAct,
): Promise<Alert | undefined> {
  const asked = await alertRow(trx, id)
  if (asked === undefined) return undefined
  const others = act.wholeIncident === true ? await openOthers(trx, asked) : []
  const changed: Row[] = []
  for (const row of [asked, ...others]) {
    if (isAnswered(row, act)) continue
    changed.push(await setAcknowledged(trx, row, act))
  }
  if (changed.length > 0) await tellAcknowledged(trx, asked, act)
  return toAlert(changed.find((row) => row.id === id) ?? asked)
}

/** A person says that it is over. What is resolved stays as it is; that the last alert of an incident was, is told at the next tick. */
export async function resolveAlert(db: Database, id: string, act: OperatorAct): Promise<Alert | undefined> {
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    return resolveLocked(trx, id, act)
  })
}

/** As `resolveAlert`, for who holds the alerting lock. */
export async function resolveLocked(trx: Database, id: string, act: OperatorAct): Promise<Alert | undefined> {
  const before = await alertRow(trx, id)
  if (before === undefined || before.status === 'resolved') {
    return before === undefined ? undefined : toAlert(before)
  }
  const after = await trx
    .updateTable('alert')
    .set({
      status: 'resolved',
      resolved_at: new Date(act.nowMs),
      silenced_by: null,
      acknowledged_until: null,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
  await remember(trx, after, { act, change: 'resolved', note: act.note ?? null })
  return toAlert(after)
}

async function alertRow(db: Database, id: string): Promise<Row | undefined> {
  return db.selectFrom('alert').selectAll().where('id', '=', id).executeTakeFirst()
}

async function openOthers(db: Database, { id, incident_id: incidentId }: Row): Promise<Row[]> {
  return db
    .selectFrom('alert')
    .selectAll()
    .where('incident_id', '=', incidentId)
    .where('status', '<>', 'resolved')
    .where('id', '<>', id)
    .orderBy('opened_at')
    .orderBy('id')
    .execute()
}

/** Acknowledged as it is asked for, or over: repeating it changes nothing. */
function isAnswered(row: Row, { until }: AcknowledgeAct): boolean {
  if (row.status === 'resolved') return true
  const isSameEnd = until === undefined || row.acknowledged_until?.getTime() === until.getTime()
  return row.status === 'acknowledged' && isSameEnd
}

async function setAcknowledged(db: Database, row: Row, act: AcknowledgeAct): Promise<Row> {
  const { until } = act
  const after = await db
    .updateTable('alert')
    .set({ status: 'acknowledged', silenced_by: null, acknowledged_until: until ?? null })
    .where('id', '=', row.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  const note = [until === undefined ? undefined : `until ${until.toISOString()}`, act.note]
    .filter((part) => part !== undefined)
    .join(': ')
  await remember(db, after, { act, change: 'acknowledged', note: note === '' ? null : note })
  return after
}

/** One message that somebody looks after it, numbered like the announcement that it answers. */
async function tellAcknowledged(
  db: Database,
  { incident_id: incidentId }: Row,
  act: OperatorAct,
): Promise<void> {
  const firing = await db
    .selectFrom('alert')
    .select('id')
    .where('incident_id', '=', incidentId)
    .where('status', '=', 'firing')
    .executeTakeFirst()
  if (firing !== undefined) return
  const { announcements } = await db
    .selectFrom('incident')
    .select('announcements')
    .where('id', '=', incidentId)
    .executeTakeFirstOrThrow()
  const now = new Date(act.nowMs)
  await insertDeliveries(db, {
    channels: await toldChannels(db, incidentId),
    delivery: {
      incident_id: incidentId,
      number: announcements,
      type: 'alert.acknowledged',
      created_at: now,
      due_at: now,
      reason: `acknowledged by ${act.actor}${act.note === undefined ? '' : `: ${act.note}`}`,
    },
  })
}

async function remember(
  db: Database,
  row: Row,
  {
    act,
    change,
    note,
  }: {
    readonly act: OperatorAct
    readonly change: 'acknowledged' | 'resolved'
    readonly note: string | null
  },
): Promise<void> {
  const now = new Date(act.nowMs)
  const { actor } = act
  await db
    .insertInto('alert_history')
    .values({ alert_id: row.id, at: now, change, severity: row.severity, actor, note })
    .execute()
  await appendAudit(db, [
    { at: now, actor, action: `alert.${change}`, keyId: row.key_id, subject: row.id, detail: { note } },
  ])
}
