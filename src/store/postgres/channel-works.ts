import { sql } from 'kysely'
import type { ChannelState } from '../channel-state-store.ts'
import { toChannelState } from './channel-state-row.ts'
import type { Database } from './database.ts'

/** So many failures in a row are the channel's, not one message's: what waits for its retry is tried at once. */
const FAILURES_OF_CHANNEL = 3

/** Writes that a message got through; see ChannelStateStore.worked. */
export async function channelWorks(
  db: Database,
  channel: string,
  nowMs: number,
): Promise<ChannelState | undefined> {
  const now = new Date(nowMs)
  const usual = await db
    .updateTable('channel_state')
    .set({ last_delivered_at: now })
    .where('channel', '=', channel)
    .where('failing_since', 'is', null)
    .where('broken_at', 'is', null)
    .executeTakeFirst()
  if (usual.numUpdatedRows > 0n) return undefined
  return db.transaction().execute(async (trx) => {
    const before = await trx
      .selectFrom('channel_state')
      .selectAll()
      .where('channel', '=', channel)
      .forUpdate()
      .executeTakeFirst()
    await trx
      .insertInto('channel_state')
      .values({ channel, last_delivered_at: now })
      .onConflict((conflict) =>
        conflict.column('channel').doUpdateSet({
          last_delivered_at: now,
          failing_since: null,
          failures: 0,
          broken_at: null,
          refused: false,
          probe_at: null,
          probes: 0,
          told_at: null,
          telling_until: null,
        }),
      )
      .execute()
    if (before === undefined) return undefined
    if (before.failures >= FAILURES_OF_CHANNEL || before.broken_at !== null) await retryNow(trx, channel, now)
    if (before.broken_at === null) return undefined
    await sendAgain(trx, channel, { since: before.failing_since ?? before.broken_at, now })
    return toChannelState(before)
  })
}

async function retryNow(db: Database, channel: string, now: Date): Promise<void> {
  await db
    .updateTable('delivery')
    .set({ due_at: now })
    .where('channel', '=', channel)
    .where('state', '=', 'pending')
    .where('attempts', '>', 0)
    .where('due_at', '>', now)
    .execute()
}

/**
 * Of each open incident one message: the first that opened it, else the first that failed. It tells the newest state, so
 * one is enough. The id stays: whoever got it all the same knows the repeat.
 */
async function sendAgain(
  db: Database,
  channel: string,
  { since, now }: { readonly since: Date; readonly now: Date },
): Promise<void> {
  await sql`
    update delivery set state = 'pending', attempts = 0, due_at = ${now}, settled_at = null, locked_until = null
    where id in (
      select distinct on (d.incident_id) d.id
      from delivery as d
      join incident as i on i.id = d.incident_id
      where d.channel = ${channel} and d.state = 'failed' and d.settled_at >= ${since} and i.closed_at is null
      order by d.incident_id, d.type <> 'alert.opened', d.created_at, d.id
    )`.execute(db)
}
