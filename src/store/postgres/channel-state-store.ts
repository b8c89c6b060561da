import { sql, type Selectable } from 'kysely'
import type { ChannelFailure, ChannelNews, ChannelState, ChannelStateStore } from '../channel-state-store.ts'
import { toChannelState } from './channel-state-row.ts'
import { channelWorks } from './channel-works.ts'
import type { Database } from './database.ts'
import type { ChannelStateTable } from './delivery-tables.ts'

/** How channels do, in the table that all replicas share. */
export function createChannelStateStore(db: Database): ChannelStateStore {
  return {
    async list() {
      const rows = await db.selectFrom('channel_state').selectAll().orderBy('channel').execute()
      return rows.map(toChannelState)
    },
    async waiting() {
      const { rows } = await sql<{ channel: string; count: number; oldest_at: Date }>`
        select channel, count(*) as count, min(created_at) as oldest_at
        from delivery where state = 'pending' group by channel`.execute(db)
      return new Map(rows.map((row) => [row.channel, { count: row.count, oldestAt: row.oldest_at }]))
    },
    worked: (channel, nowMs) => channelWorks(db, channel, nowMs),
    failed: (channel, failure) => failed(db, channel, failure),
    async pause(channel, untilMs) {
      const until = new Date(untilMs)
      await db
        .insertInto('channel_state')
        .values({ channel, free_at: until })
        .onConflict((conflict) =>
          conflict
            .column('channel')
            .doUpdateSet({ free_at: sql<Date>`greatest(channel_state.free_at, ${until}::timestamptz)` }),
        )
        .execute()
    },
    claimProbe: (claim) => claimProbe(db, claim),
    async probeNow(nowMs) {
      await db
        .updateTable('channel_state')
        .set({ probe_at: new Date(nowMs), probes: 0 })
        .where('broken_at', 'is not', null)
        .execute()
    },
    claimNews: (claim) => claimNews(db, claim),
    async told({ kind, state }, on, nowMs) {
      await db
        .updateTable('channel_state')
        .set(
          kind === 'broken'
            ? { told_at: new Date(nowMs), told_on: on, telling_until: null }
            : { told_at: null, told_on: null, telling_until: null },
        )
        .where('channel', '=', state.channel)
        .execute()
    },
  }
}

async function failed(
  db: Database,
  channel: string,
  { error, refused, nowMs, brokenAfterMs, probeAtMs }: ChannelFailure,
): Promise<boolean> {
  const now = new Date(nowMs)
  return db.transaction().execute(async (trx) => {
    await trx
      .insertInto('channel_state')
      .values({ channel })
      .onConflict((conflict) => conflict.column('channel').doNothing())
      .execute()
    const before = await trx
      .selectFrom('channel_state')
      .selectAll()
      .where('channel', '=', channel)
      .forUpdate()
      .executeTakeFirstOrThrow()
    const failingSince = before.failing_since ?? now
    const isBroken = refused || nowMs - failingSince.getTime() >= brokenAfterMs
    const breaks = isBroken && before.broken_at === null
    await trx
      .updateTable('channel_state')
      .set({
        failing_since: failingSince,
        failures: before.failures + 1,
        last_error: error,
        // Once refused it stays so until something gets through: a time-out in between is no better news.
        refused: refused || before.refused,
        ...(breaks
          ? { broken_at: now, probe_at: new Date(probeAtMs), probes: 0, told_at: null, telling_until: null }
          : {}),
      })
      .where('channel', '=', channel)
      .execute()
    return breaks
  })
}

async function claimProbe(
  db: Database,
  { nowMs, channels, nextMs }: Parameters<ChannelStateStore['claimProbe']>[0],
): Promise<ChannelState | undefined> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('channel_state')
      .selectAll()
      .where('broken_at', 'is not', null)
      .where('probe_at', '<=', new Date(nowMs))
      .where('channel', 'in', channels.length === 0 ? [''] : [...channels])
      .orderBy('probe_at')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst()
    if (row === undefined) return undefined
    await trx
      .updateTable('channel_state')
      .set({ probe_at: new Date(nextMs(row.probes + 1)), probes: row.probes + 1 })
      .where('channel', '=', row.channel)
      .execute()
    return toChannelState(row)
  })
}

/** Broken and untold, or told and working again. */
async function claimNews(
  db: Database,
  { nowMs, leaseMs }: Parameters<ChannelStateStore['claimNews']>[0],
): Promise<ChannelNews | undefined> {
  const now = new Date(nowMs)
  const { rows } = await sql<Selectable<ChannelStateTable>>`
    update channel_state set telling_until = ${new Date(nowMs + leaseMs)}
    where channel = (
      select channel from channel_state
      where (telling_until is null or telling_until <= ${now})
        and ((broken_at is not null and told_at is null) or (broken_at is null and told_on is not null))
      order by channel
      limit 1
      for update skip locked
    )
    returning *`.execute(db)
  const [row] = rows
  if (row === undefined) return undefined
  return { kind: row.broken_at === null ? 'works' : 'broken', state: toChannelState(row) }
}
