import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import type { Notice } from '../../alert/notice.ts'
import type { NoticeOutbox, SelfAlert, SelfAlertStore, SelfMoves } from '../self-alert-store.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import type { SelfNoticeTable } from './delivery-tables.ts'

/** Self-alerts of all replicas. */
export function createSelfAlertStore(db: Database): SelfAlertStore & NoticeOutbox {
  return {
    open: () => openOnes(db),
    async move(decide, { targets, now }) {
      // Nearly always nothing opens or ends: no lock is needed to say that things go on as they are.
      const glance = decide(await openOnes(db))
      if (glance.opened.length + glance.repeated.length + glance.closed.length === 0) {
        await touch(db, glance.goingOn, { last_bad_at: now })
        return glance
      }
      return db.transaction().execute(async (trx) => {
        await lock(trx, 'selfWatch')
        return carryOut(trx, decide(await openOnes(trx)), { targets, now })
      })
    },
    claim: (nowMs, leaseMs) => claim(db, nowMs, leaseMs),
    async settle(id, outcome, nowMs) {
      await db
        .updateTable('self_notice')
        .set(
          outcome.kind === 'retry'
            ? { due_at: outcome.at, locked_until: null, last_error: outcome.error }
            : {
                state: outcome.kind,
                settled_at: new Date(nowMs),
                locked_until: null,
                ...(outcome.kind === 'delivered'
                  ? { receipt: outcome.receipt }
                  : { last_error: outcome.error }),
              },
        )
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .execute()
    },
  }
}

async function carryOut(
  db: Database,
  moves: SelfMoves,
  { targets, now }: Parameters<SelfAlertStore['move']>[1],
): Promise<SelfMoves> {
  const topicsOf = (some: readonly { readonly topic: string }[]): string[] => some.map(({ topic }) => topic)
  await writeOpened(db, moves.opened)
  await touch(db, [...moves.goingOn, ...topicsOf(moves.repeated)], { last_bad_at: now })
  await touch(db, topicsOf(moves.repeated), { told_at: now })
  await touch(db, topicsOf(moves.closed), { closed_at: now })
  const notices = [...moves.opened, ...moves.repeated, ...moves.closed].map(({ notice }) => notice)
  await insertNotices(db, { notices, targets, now })
  return moves
}

/** Puts notices into the outbox, each once for each target; undefined is the first channel that takes it. */
export async function insertNotices(
  db: Database,
  {
    notices,
    targets,
    now,
  }: {
    readonly notices: readonly Notice[]
    readonly targets: readonly (string | undefined)[]
    readonly now: Date
  },
): Promise<void> {
  const rows = notices.flatMap((notice) =>
    targets.map((channel) => ({
      id: randomUUID(),
      topic: notice.topic,
      channel: channel ?? null,
      notice: JSON.stringify(notice),
      created_at: now,
      due_at: now,
    })),
  )
  if (rows.length > 0) await db.insertInto('self_notice').values(rows).execute()
}

/** Deletes what ended before the instant. */
export async function clearSelfAlerts(db: Database, before: Date): Promise<void> {
  await db
    .deleteFrom('self_notice')
    .where('state', '<>', 'pending')
    .where('settled_at', '<', before)
    .execute()
  await db.deleteFrom('self_alert').where('closed_at', '<', before).where('opened_at', '<', before).execute()
}

async function openOnes(db: Database): Promise<SelfAlert[]> {
  const rows = await db
    .selectFrom('self_alert')
    .selectAll()
    .where('closed_at', 'is', null)
    .orderBy('opened_at')
    .orderBy('topic')
    .execute()
  return rows.map(
    ({ topic, severity, title, opened_at: openedAt, last_bad_at: lastBadAt, told_at: toldAt }) => ({
      topic,
      severity,
      title,
      openedAt,
      lastBadAt,
      toldAt,
    }),
  )
}

async function writeOpened(db: Database, opened: readonly { readonly alert: SelfAlert }[]): Promise<void> {
  if (opened.length === 0) return
  await db
    .insertInto('self_alert')
    .values(
      opened.map(({ alert }) => ({
        id: randomUUID(),
        topic: alert.topic,
        severity: alert.severity,
        title: alert.title,
        opened_at: alert.openedAt,
        last_bad_at: alert.lastBadAt,
        told_at: alert.toldAt,
      })),
    )
    .execute()
}

async function touch(
  db: Database,
  topics: readonly string[],
  change: { readonly last_bad_at: Date } | { readonly told_at: Date } | { readonly closed_at: Date },
): Promise<void> {
  if (topics.length === 0) return
  await db
    .updateTable('self_alert')
    .set(change)
    .where('closed_at', 'is', null)
    .where('topic', 'in', topics)
    .execute()
}

async function claim(db: Database, nowMs: number, leaseMs: number): ReturnType<NoticeOutbox['claim']> {
  const now = new Date(nowMs)
  const { rows } = await sql<Selectable<SelfNoticeTable>>`
    with due as (
      select n.id
      from self_notice as n
      where n.state = 'pending' and n.due_at <= ${now} and (n.locked_until is null or n.locked_until <= ${now})
        and not exists (
          select from self_notice as before
          where before.state = 'pending' and before.topic = n.topic and before.channel is not distinct from n.channel
            and before.number < n.number
        )
      order by n.due_at, n.number
      limit 1
      for update of n skip locked
    )
    update self_notice as n
    set locked_until = ${new Date(nowMs + leaseMs)}, attempts = n.attempts + 1
    from due
    where n.id = due.id
    returning n.*`.execute(db)
  const [row] = rows
  if (row === undefined) return undefined
  return {
    id: row.id,
    channel: row.channel ?? undefined,
    notice: { ...row.notice, id: row.id, at: new Date(row.notice.at) },
    attempts: row.attempts - 1,
  }
}
