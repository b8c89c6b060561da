import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import { DAY_MS } from '../../usage/duration.ts'
import type { DeliveryStore, StrandedDelivery } from '../delivery-store.ts'
import type { Database } from './database.ts'
import { readNotification } from './notification-source.ts'
import type { DeliveryTable } from './delivery-tables.ts'

/**
 * What failed for good within a day, or is late; also of incidents that are over: what nobody heard of is told all the
 * same. A stand-in has no stand-in of its own.
 */
export async function toHandOver(
  db: Database,
  { nowMs, lateMs, limit }: Parameters<DeliveryStore['toHandOver']>[0],
): Promise<StrandedDelivery[]> {
  const { rows } = await sql<Selectable<DeliveryTable> & { also_on: string[] }>`
    select d.*, array(
      select same.channel from delivery as same
      where same.incident_id = d.incident_id and same.number = d.number and same.type = d.type
        and same.revocation_id is not distinct from d.revocation_id
        and same.channel <> d.channel and same.state <> 'failed'
    ) as also_on
    from delivery as d
    where d.handed_over_at is null and d.instead_of is null and d.id in (
      select id from delivery where state = 'failed' and settled_at > ${new Date(nowMs - DAY_MS)}
      union all
      select waits.id from delivery as waits
      where waits.state = 'pending' and waits.created_at <= ${new Date(nowMs - lateMs)}
        and exists (
          select from delivery as tried
          where tried.incident_id = waits.incident_id and tried.channel = waits.channel
            and tried.state = 'pending' and tried.attempts > 0
        )
    )
    order by d.created_at, d.id
    limit ${limit}`.execute(db)
  return Promise.all(
    rows.map(async (row) => ({
      id: row.id,
      channel: row.channel,
      notification: await readNotification(db, row, nowMs),
      alsoOn: row.also_on,
    })),
  )
}

export async function handOver(
  db: Database,
  {
    id,
    channels,
    nowMs,
  }: { readonly id: string; readonly channels: readonly string[]; readonly nowMs: number },
): Promise<void> {
  const now = new Date(nowMs)
  await db.transaction().execute(async (trx) => {
    const stranded = await trx
      .updateTable('delivery')
      .set({ handed_over_at: now })
      .where('id', '=', id)
      .where('handed_over_at', 'is', null)
      .returningAll()
      .executeTakeFirst()
    // Another replica has done it.
    if (stranded === undefined || channels.length === 0) return
    await trx
      .insertInto('delivery')
      .values(
        channels.map((channel) => ({
          id: randomUUID(),
          incident_id: stranded.incident_id,
          number: stranded.number,
          type: stranded.type,
          channel,
          revocation_id: stranded.revocation_id,
          created_at: now,
          due_at: now,
          reason: stranded.reason,
          instead_of: stranded.channel,
        })),
      )
      .onConflict((conflict) => conflict.constraint('delivery_once').doNothing())
      .execute()
  })
}
