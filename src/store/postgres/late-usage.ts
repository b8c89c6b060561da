import { sql, type RawBuilder } from 'kysely'
import { LATE_JUDGED_MS } from '../engine-store.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import type { News } from './arrivals.ts'
import type { Database } from './database.ts'

/** Usage that is younger when it is stored is not noted: ticks read the newest minutes anyway. */
const LATE_MS = 5 * MINUTE_MS
/** Usage that is older is not noted either: no tick looks so far back, and a history that is imported is all of it late. */
const NOTED_MS = LATE_JUDGED_MS + HOUR_MS
/** Older usage than this is noted by the hour, as of its last minute: ticks judge it by the hour. */
const BY_MINUTE_MS = 4 * HOUR_MS
/** How long notes are kept; whoever has not looked for longer reads all. */
export const NOTES_KEPT_MS = 6 * HOUR_MS
/** The clock of a database may be put back by so much without a row being overlooked. */
const CLOCK_STEP_MS = MINUTE_MS

/**
 * SQL that notes late usage, of rows of `inserted` that were written just before in the same statement. The clock is read
 * once, when the first of them is: then the transaction has its number.
 */
export const NOTE_LATE_USAGE = `
  insert into late_usage (key_id, bucket)
  select distinct key_id,
    case when ts > (select clock_timestamp() - '${BY_MINUTE_MS} ms'::interval) then date_bin('1 minute', ts, 'epoch')
      else date_bin('1 hour', ts, 'epoch') + interval '59 minutes' end
  from inserted
  where ts < (select clock_timestamp() - '${LATE_MS} ms'::interval)
    and ts > (select clock_timestamp() - '${NOTED_MS} ms'::interval)`

/** Where a look finds the rows that were written since the last. */
export interface Places {
  /** Older minutes are of no interest. */
  readonly recentMs: number
  /** Of minutes that start from here on, any row may be new. */
  readonly fromMs: number
  /** Of older ones those that are noted from this instant of the database's clock on; undefined when none are left. */
  readonly notedFromMs: number | undefined
}

/**
 * Where a look at `atMs` of the database's clock finds what is new from `recentMs` on. What a transaction stored since the
 * last look without a note was, by that clock, younger than LATE_MS when the transaction had begun.
 */
export function placesOf(
  { writtenFromMs }: Pick<News, 'writtenFromMs'>,
  { recentMs, atMs }: { readonly recentMs: number; readonly atMs: number },
): Places {
  const notedFromMs = writtenFromMs - CLOCK_STEP_MS
  const newestMs = notedFromMs - LATE_MS
  const isNoted = recentMs > atMs - BY_MINUTE_MS + CLOCK_STEP_MS && notedFromMs > atMs - NOTES_KEPT_MS / 2
  if (!isNoted || newestMs <= recentMs) return { recentMs, fromMs: recentMs, notedFromMs: undefined }
  return { recentMs, fromMs: newestMs, notedFromMs }
}

/** An hour of a key that got usage when ticks no longer looked back so far. */
export interface LateHour {
  readonly keyId: string
  readonly hourMs: number
  /** Start of its last minute with such usage. */
  readonly lastBucketMs: number
  /** The transactions that stored it, as the database numbers them. */
  readonly writers: readonly string[]
}

/**
 * The hours of keys, within the span, that got usage since the last look, the newest first, and some that the last look
 * saw (see `Arrivals`); `isMine` is SQL of the keys that are asked for. At the first look of a process, without `news`, all that are noted: what the last one was given and
 * did not judge is among them.
 */
export async function notedHours(
  db: Database,
  {
    fromMs,
    toMs,
    news,
    isMine,
  }: {
    readonly fromMs: number
    readonly toMs: number
    readonly news: News | undefined
    readonly isMine: RawBuilder<boolean>
  },
): Promise<LateHour[]> {
  const isNew = news === undefined ? sql`true` : sql`noted_at >= ${notedFrom(news)} and ${news.isNew}`
  const { rows } = await sql<{ key_id: string; hour: Date; last: Date; writers: string[] }>`
    select
      key_id, date_trunc('hour', bucket, 'UTC') as hour, max(bucket) as last,
      array_agg(distinct xmin::text) as writers
    from late_usage
    where ${isNew} and bucket >= ${new Date(fromMs)} and bucket < ${new Date(toMs)} and ${isMine}
    group by 1, 2
    order by 3 desc, 1`.execute(db)
  return rows.map(({ key_id, hour, last, writers }) => ({
    keyId: key_id,
    hourMs: hour.getTime(),
    lastBucketMs: last.getTime(),
    writers,
  }))
}

function notedFrom({ writtenFromMs }: News): Date | RawBuilder<unknown> {
  return Number.isFinite(writtenFromMs) ? new Date(writtenFromMs - CLOCK_STEP_MS) : sql`'-infinity'`
}

/** SQL of the keys and minutes, as `noted (key_id, bucket)`, that were noted since the last look. */
export function notedSince(notedFromMs: number, isNew: RawBuilder<boolean>): RawBuilder<unknown> {
  return sql`(select distinct key_id, bucket from late_usage where noted_at >= ${new Date(notedFromMs)} and ${isNew})`
}
