import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import { silenceState, type SilenceUse } from '../../alert/silence.ts'
import { DAY_MS } from '../../usage/duration.ts'
import { NoSuchAlertError, type ListedSilence, type NewSilence, type SilenceStore } from '../silence-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import { applyMoves, dueMoves } from './move-alerts.ts'
import { toSilence } from './silence-row.ts'
import type { SilenceTable } from './alert-tables.ts'

const LIST_MAX = 500
/** How long a silence that is over is listed. */
const ENDED_SHOWN_MS = 7 * DAY_MS

/** The daemon's SilenceStore. Whatever changes silences holds the alerting lock. */
export function createSilenceStore(db: Database): SilenceStore {
  return {
    create: (silence) => create(db, silence),
    async list({ nowMs }) {
      const rows = await db
        .selectFrom('silence')
        .selectAll()
        .where(sql<boolean>`coalesce(expired_at, ends_at) > ${new Date(nowMs - ENDED_SHOWN_MS)}`)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .limit(LIST_MAX)
        .execute()
      const listed = await withUse(db, rows, nowMs)
      return listed.toSorted((a, b) => Number(a.use.state === 'expired') - Number(b.use.state === 'expired'))
    },
    expire: (id, act) => expire(db, id, act),
  }
}

async function create(db: Database, wish: NewSilence): Promise<ListedSilence> {
  const { nowMs, actor } = wish
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    if (wish.alertId !== undefined) await mustBeOpen(trx, wish.alertId)
    const row = await trx
      .insertInto('silence')
      .values({
        id: randomUUID(),
        matchers: JSON.stringify(wish.matchers),
        alert_id: wish.alertId ?? null,
        starts_at: wish.startsAt,
        ends_at: wish.endsAt,
        created_at: new Date(nowMs),
        created_by: wish.createdBy,
        comment: wish.comment,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    await audit(trx, row, { actor, nowMs, action: 'silence.created' })
    // What is to be heard again is left to the tick, which knows the routes and the maintenance windows.
    const moves = await dueMoves(trx, { mutes: [], nowMs })
    await applyMoves(
      trx,
      moves.filter(({ move }) => move.kind === 'silence'),
      new Date(nowMs),
    )
    const now = await trx.selectFrom('silence').selectAll().where('id', '=', row.id).execute()
    return first(await withUse(trx, now, nowMs))
  })
}

async function mustBeOpen(db: Database, alertId: string): Promise<void> {
  const alert = await db.selectFrom('alert').select('status').where('id', '=', alertId).executeTakeFirst()
  if (alert === undefined) throw new NoSuchAlertError('there is no alert with this id')
  if (alert.status === 'resolved')
    throw new NoSuchAlertError('the alert is resolved, there is nothing to silence')
}

async function expire(
  db: Database,
  id: string,
  { actor, nowMs }: Parameters<SilenceStore['expire']>[1],
): Promise<ListedSilence | undefined> {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id)) return undefined
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const now = new Date(nowMs)
    const row = await trx
      .updateTable('silence')
      .set({ expired_at: now, expired_by: actor })
      .where('id', '=', id)
      .where('expired_at', 'is', null)
      .where('ends_at', '>', now)
      .returningAll()
      .executeTakeFirst()
    if (row !== undefined) await audit(trx, row, { actor, nowMs, action: 'silence.expired' })
    const rows = await trx.selectFrom('silence').selectAll().where('id', '=', id).execute()
    return (await withUse(trx, rows, nowMs))[0]
  })
}

async function audit(
  db: Database,
  { id, comment, created_by: createdBy }: Selectable<SilenceTable>,
  { actor, nowMs, action }: { readonly actor: string; readonly nowMs: number; readonly action: string },
): Promise<void> {
  await appendAudit(db, [
    { at: new Date(nowMs), actor, action, subject: id, detail: { comment, created_by: createdBy } },
  ])
}

async function withUse(
  db: Database,
  rows: readonly Selectable<SilenceTable>[],
  nowMs: number,
): Promise<ListedSilence[]> {
  const listed: ListedSilence[] = []
  // One after the other: in a transaction there is one connection.
  for (const row of rows) {
    const silence = toSilence(row)
    const silencing = await db
      .selectFrom('alert')
      .select((select) => select.fn.countAll<number>().as('count'))
      .where('status', '=', 'silenced')
      .where('silenced_by', '=', `silence:${row.id}`)
      .executeTakeFirstOrThrow()
    const alert =
      row.alert_id === null
        ? undefined
        : await db.selectFrom('alert').select('status').where('id', '=', row.alert_id).executeTakeFirst()
    const use: SilenceUse = {
      state: silenceState(silence, { nowMs, alertIsOpen: alert?.status !== 'resolved' }),
      silencing: silencing.count,
      silenced: row.silenced,
      matchesSomething: row.silenced > 0 || alert !== undefined || (await matchesAKey(db, row)),
    }
    listed.push({ silence, use })
  }
  return listed
}

/** True when a key is known that the silence could be of: a pattern that fits none is probably misspelt. */
async function matchesAKey(db: Database, { matchers }: Selectable<SilenceTable>): Promise<boolean> {
  const { key_id: keyId, team_id: teamId, environment } = matchers
  if (keyId === undefined && teamId === undefined && environment === undefined) return true
  const { rows } = await sql<{ found: boolean }>`
    select exists (
      select from api_key
      where (${keyId === undefined} or key_id like any(${(keyId ?? []).map(likePattern)}::text[]))
        and (${teamId === undefined} or team_id like any(${(teamId ?? []).map(likePattern)}::text[]))
        and (${environment === undefined} or environment like any(${(environment ?? []).map(likePattern)}::text[]))
    ) as found`.execute(db)
  return rows[0]?.found === true
}

/** `*` becomes `%`; what SQL takes for a wildcard is meant as it is. */
function likePattern(pattern: string): string {
  return pattern.replaceAll(/[\\%_]/g, String.raw`\$&`).replaceAll('*', '%')
}

function first(listed: readonly ListedSilence[]): ListedSilence {
  const [one] = listed
  if (one === undefined) throw new Error('the silence that was just written is gone')
  return one
}
