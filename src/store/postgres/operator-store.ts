import { sql, type Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { systemClock, type Clock } from '../../clock.ts'
import { storedProfile } from '../../detect/profile.ts'
import { DAY_MS } from '../../usage/duration.ts'
import { sumRollups } from '../../usage/key-usage.ts'
import {
  InvalidCursorError,
  type AlertDetail,
  type AlertQuery,
  type KeyDetail,
  type OperatorStore,
} from '../operator-store.ts'
import { toAlert } from './alert-row.ts'
import { acknowledgeAlert, resolveAlert } from './change-alert.ts'
import type { Database } from './database.ts'
import { giveVerdict } from './give-verdict.ts'
import { taughtAbout } from './key-standing.ts'
import { toKey } from './key-row.ts'
import type { AlertTable } from './alert-tables.ts'
import { usageOfKey } from './usage-of-key.ts'

/** What operators ask and do. */
export function createOperatorStore(db: Database, clock: Clock = systemClock): OperatorStore {
  return {
    listAlerts: (query) => listAlerts(db, query),
    alert: (id) => alertDetail(db, id),
    acknowledge: (id, act) => (isUuid(id) ? acknowledgeAlert(db, id, act) : nothing()),
    resolve: (id, act) => (isUuid(id) ? resolveAlert(db, id, act) : nothing()),
    giveVerdict: (id, verdict) => (isUuid(id) ? giveVerdict(db, id, verdict) : nothing()),
    key: (keyId) => keyDetail(db, keyId, clock.nowMs()),
  }
}

/** What is no UUID names no alert; the database would call it an error. */
function nothing(): Promise<undefined> {
  return Promise.resolve(undefined)
}

async function listAlerts(
  db: Database,
  { status, keyId, detector, limit, cursor }: AlertQuery,
): Promise<{ alerts: Alert[]; cursor: string | undefined }> {
  let query = db.selectFrom('alert').selectAll().orderBy('opened_at', 'desc').orderBy('id', 'desc')
  if (status !== undefined && status.length > 0) query = query.where('status', 'in', [...status])
  if (keyId !== undefined) query = query.where('key_id', '=', keyId)
  if (detector !== undefined) query = query.where(sql<boolean>`detector = ${detector}`)
  if (cursor !== undefined) {
    const { openedAt, id } = readCursor(cursor)
    query = query.where(sql<boolean>`(opened_at, id) < (${openedAt}, ${id}::uuid)`)
  }
  // One more than asked for tells whether there is a next page.
  const rows = await query.limit(limit + 1).execute()
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    alerts: page.map(toAlert),
    cursor: rows.length > limit && last !== undefined ? writeCursor(last) : undefined,
  }
}

function writeCursor({ opened_at: openedAt, id }: Selectable<AlertTable>): string {
  return Buffer.from(`${openedAt.getTime()} ${id}`).toString('base64url')
}

function readCursor(cursor: string): { openedAt: Date; id: string } {
  const match = /^(\d{1,15}) ([\da-f-]{36})$/.exec(Buffer.from(cursor, 'base64url').toString())
  const [, openedMs = '', id = ''] = match ?? []
  if (!isUuid(id)) throw new InvalidCursorError('cursor: not one that an earlier page returned')
  return { openedAt: new Date(Number(openedMs)), id }
}

function isUuid(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)
}

async function alertDetail(db: Database, id: string): Promise<AlertDetail | undefined> {
  if (!isUuid(id)) return undefined
  const row = await db.selectFrom('alert').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) return undefined
  const deliveries = await db
    .selectFrom('delivery')
    .leftJoin('channel_state', 'channel_state.channel', 'delivery.channel')
    .selectAll('delivery')
    .select('channel_state.broken_at as channel_broken_at')
    .where('incident_id', '=', row.incident_id)
    .orderBy('delivery.created_at')
    .orderBy('delivery.channel')
    .orderBy('delivery.id')
    .execute()
  const history = await db
    .selectFrom('alert_history')
    .selectAll()
    .where('alert_id', '=', id)
    .orderBy('id')
    .execute()
  return {
    alert: toAlert(row),
    deliveries: deliveries.map((delivery) => ({
      id: delivery.id,
      channel: delivery.channel,
      type: delivery.type,
      state: delivery.state,
      attempts: delivery.attempts,
      dueAt: delivery.due_at,
      deliveredAt: delivery.state === 'delivered' ? (delivery.settled_at ?? undefined) : undefined,
      lastError: delivery.last_error ?? undefined,
      receipt: delivery.receipt ?? undefined,
      insteadOf: delivery.instead_of ?? undefined,
      channelBrokenAt: delivery.channel_broken_at ?? undefined,
    })),
    history: history.map((line) => ({
      at: line.at,
      change: line.change,
      actor: line.actor,
      note: line.note ?? undefined,
    })),
  }
}

async function keyDetail(db: Database, keyId: string, nowMs: number): Promise<KeyDetail | undefined> {
  const row = await db.selectFrom('api_key').selectAll().where('key_id', '=', keyId).executeTakeFirst()
  if (row === undefined) return undefined
  const profile = await db
    .selectFrom('profile')
    .select('state')
    .where('key_id', '=', keyId)
    .executeTakeFirst()
  return {
    key: toKey(row),
    state: row.state,
    firstSeenAt: row.first_seen_at,
    lastSeenAt: await lastSeen(db, keyId, row.last_seen_at),
    lastDay: sumRollups(await usageOfKey(db, keyId, { fromMs: nowMs - DAY_MS, toMs: nowMs })),
    profile: profile === undefined ? undefined : storedProfile(profile.state),
    frozenAt: row.frozen_at ?? undefined,
    taught: await taughtAbout(db, keyId, nowMs),
  }
}

/** The exact instant: the key's row is up to an hour behind. */
async function lastSeen(db: Database, keyId: string, notBefore: Date | null): Promise<Date | undefined> {
  if (notBefore === null) return undefined
  const { last } = await db
    .selectFrom('usage_event')
    .select((select) => select.fn.max('ts').as('last'))
    .where('key_id', '=', keyId)
    .where('ts', '>=', notBefore)
    .executeTakeFirstOrThrow()
  // The raw events may have been pruned.
  return (last as Date | null) ?? notBefore
}
