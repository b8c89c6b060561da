import { sql, type RawBuilder } from 'kysely'
import { DAY_MS } from '../../usage/duration.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { withBriefLocks } from './brief-lock.ts'
import type { Database } from './database.ts'
import { foldHours } from './fold-hours.ts'
import { inRounds, ROWS_PER_ROUND } from './in-rounds.ts'
import { NOTES_KEPT_MS } from './late-usage.ts'
import { ifUnlocked } from './lock.ts'
import { DAYS_AHEAD, ensurePartitions, partitionDayMs } from './partitions.ts'
import { isListed } from './unlearnt-hours.ts'

export interface RetentionSettings {
  readonly eventsMs: number
  readonly rollupsMs: number
  readonly rejectedMs: number
  /** Of deliveries that were delivered or failed, of incidents that are closed. */
  readonly deliveriesMs: number
}

export interface Cleared {
  readonly partitions: readonly string[]
  /** Events so old that they had no partition. */
  readonly events: number
  readonly rollups: number
  /** Minutes that are part of their hour now. */
  readonly folded: number
  readonly sources: number
  readonly rejected: number
  readonly deliveries: number
}

/**
 * Usage per address is read for two hours and then learnt; profiles remember. Three days let an operator look back over
 * a weekend. Hours that are yet to be learnt, of an import or after an outage, stay until they are.
 */
const SOURCES_KEPT_MS = 3 * DAY_MS

/**
 * Makes the partitions of the days to come, removes what is older than its retention (raw events by whole days, the rest
 * row by row) and folds the minutes of old hours. One replica does it at a time; undefined when another is at it. Safe to
 * repeat and to break off.
 */
export async function runRetention(
  db: Database,
  settings: RetentionSettings,
  nowMs: number,
): Promise<Cleared | undefined> {
  return ifUnlocked(db, 'retention', async () => {
    await ensurePartitions(db, daysAhead(nowMs), nowMs)
    const before = (ms: number): Date => new Date(nowMs - ms)
    const partitions = await dropPartitions(db, nowMs - settings.eventsMs)
    const events = await deleteRows(
      db,
      sql`usage_event_default`,
      sql<boolean>`ts < ${before(settings.eventsMs)}`,
    )
    const rollups = await deleteRows(
      db,
      sql`usage_rollup`,
      sql<boolean>`bucket < ${before(settings.rollupsMs)}`,
    )
    const folded = await foldHours(db, nowMs)
    await deleteRows(db, sql`unlearnt_hour`, sql<boolean>`hour < ${before(settings.rollupsMs)}`)
    await deleteRows(
      db,
      sql`late_usage`,
      sql<boolean>`noted_at < clock_timestamp() - ${NOTES_KEPT_MS} * interval '1 millisecond'`,
    )
    const sources = await deleteRows(
      db,
      sql`usage_source`,
      sql<boolean>`bucket < ${before(SOURCES_KEPT_MS)}
        and not ${isListed({ hour: sql`date_trunc('hour', usage_source.bucket, 'UTC')`, keyId: sql`usage_source.key_id` })}`,
    )
    const rejected = await deleteRows(
      db,
      sql`rejected_event`,
      sql<boolean>`received_at < ${before(settings.rejectedMs)}`,
    )
    const deliveries = await deleteRows(
      db,
      sql`delivery`,
      sql<boolean>`state <> 'pending' and settled_at < ${before(settings.deliveriesMs)}
        and exists (select from incident as i where i.id = delivery.incident_id and i.closed_at is not null)`,
    )
    return { partitions, events, rollups, folded, sources, rejected, deliveries }
  })
}

function daysAhead(nowMs: number): number[] {
  return Array.from({ length: DAYS_AHEAD + 1 }, (_, day) => nowMs + day * DAY_MS)
}

/** Drops the partitions of days that ended before the instant; one that is in use stays for the next run. */
async function dropPartitions(db: Database, beforeMs: number): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = 'usage_event'::regclass
    order by c.relname`.execute(db)
  const old = rows.filter(({ name }) => (partitionDayMs(name) ?? Infinity) < bucketStart(beforeMs, DAY_MS))
  const dropped: string[] = []
  for (const { name } of old) {
    const isDropped = await withBriefLocks(db, async (trx) => {
      await sql`drop table ${sql.table(name)}`.execute(trx)
    })
    if (isDropped) dropped.push(name)
  }
  return dropped
}

async function deleteRows(
  db: Database,
  table: RawBuilder<unknown>,
  condition: RawBuilder<boolean>,
): Promise<number> {
  return inRounds(async () => {
    const result = await sql`
      delete from ${table}
      where ctid = any(array(select ctid from ${table} where ${condition} limit ${sql.lit(ROWS_PER_ROUND)}))`.execute(
      db,
    )
    return Number(result.numAffectedRows ?? 0n)
  })
}
