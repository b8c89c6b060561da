import { sql } from 'kysely'
import { DAY_MS } from '../../usage/duration.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { withBriefLocks } from './brief-lock.ts'
import { isUnavailable, type Database } from './database.ts'
import { lock } from './lock.ts'

/** Days that get a partition of their own: what is older, or later, goes to the default partition. */
const DAYS_BACK = 62
export const DAYS_AHEAD = 2

/**
 * Makes sure that the days of these instants have partitions, those far from `nowMs` excepted. A day that cannot get
 * one (its rows are in the default partition already) stays there: events are stored all the same.
 */
export async function ensurePartitions(
  db: Database,
  instantsMs: Iterable<number>,
  nowMs: number,
): Promise<void> {
  const today = bucketStart(nowMs, DAY_MS)
  const days = new Set([...instantsMs].map((instant) => bucketStart(instant, DAY_MS)))
  for (const day of [...days].toSorted((a, b) => a - b)) {
    if (day < today - DAYS_BACK * DAY_MS || day > today + DAYS_AHEAD * DAY_MS) continue
    try {
      await makePartition(db, day)
    } catch (error) {
      if (isUnavailable(error) || !staysInDefault(error)) throw error
    }
  }
}

/** `usage_event_20260304`, for the UTC day that starts at `dayMs`. */
export function partitionName(dayMs: number): string {
  return `usage_event_${new Date(dayMs).toISOString().slice(0, 10).replaceAll('-', '')}`
}

/** The start of a partition's day, epoch milliseconds; undefined when the name is not one of `partitionName`. */
export function partitionDayMs(name: string): number | undefined {
  const match = /^usage_event_(\d{4})(\d{2})(\d{2})$/.exec(name)
  return match === null ? undefined : Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]))
}

async function makePartition(db: Database, dayMs: number): Promise<void> {
  const name = sql.table(partitionName(dayMs))
  const from = sql.lit(new Date(dayMs).toISOString())
  const to = sql.lit(new Date(dayMs + DAY_MS).toISOString())
  if (await exists(db, dayMs)) return
  // What does not get its locks stays in the default partition for now; the next process tries again.
  await withBriefLocks(db, async (trx) => {
    await lock(trx, 'partitions')
    if (await exists(trx, dayMs)) return
    // Not `create table … partition of`: that would lock out every reader and writer of usage_event.
    await sql`create table ${name} (like usage_event including all)`.execute(trx)
    await sql`alter table usage_event attach partition ${name} for values from (${from}) to (${to})`.execute(
      trx,
    )
  })
}

async function exists(db: Database, dayMs: number): Promise<boolean> {
  // Not to_regclass: it may answer from a cache that does not know yet what another process has just made.
  const { rows } = await sql<{ exists: boolean }>`
    select exists (
      select from pg_inherits as i
      join pg_class as c on c.oid = i.inhrelid
      where i.inhparent = 'usage_event'::regclass and c.relname = ${partitionName(dayMs)}
    ) as exists`.execute(db)
  return rows[0]?.exists === true
}

/** 23514: the default partition holds rows of that day. */
function staysInDefault(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23514'
}
