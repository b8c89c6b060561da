import { sql } from 'kysely'
import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { withBriefLocks } from './brief-lock.ts'
import type { Database } from './database.ts'
import { inRounds, ROWS_PER_ROUND } from './in-rounds.ts'
import { ADDED_COUNTERS, COUNTER_NAMES, saturated } from './rollup-counters.ts'
import { isListed } from './unlearnt-hours.ts'

/**
 * Rollups are kept by the minute for so long: ticks look back hours, late hours are judged for a day, and what is usual of
 * a fleet is asked of the same hour a week ago. What is older is summed by hours and days only.
 */
export const MINUTES_KEPT_MS = 8 * DAY_MS
const COUNTERS = sql.raw(COUNTER_NAMES.join(', '))
const SUMS = sql.raw(COUNTER_NAMES.map((name) => saturated(`sum(${name}::float8)`)).join(', '))
/** An hour becomes old enough every hour; after an upgrade or an import there may be thousands, which are caught up with. */
const HOURS_PER_RUN = 48

/**
 * Folds the minutes of old hours into one rollup for each hour, key, model and country, which takes the place of the hour's
 * first minute; returns how many rows went. Hours that are yet to be learnt stay as they are. Sums by the hour, the day and
 * longer are the same before, during and after it. Safe to repeat and to break off: each round is one statement, and an
 * hour that gets usage later is folded again.
 */
export async function foldHours(db: Database, nowMs: number): Promise<number> {
  let folded = 0
  for (const hour of await unfoldedHours(db, bucketStart(nowMs - MINUTES_KEPT_MS, HOUR_MS)))
    folded += await inRounds(() => foldSome(db, hour))
  return folded
}

/** Hours before the instant with rows of other minutes than the first, oldest first: one index probe for each hour of the history. */
async function unfoldedHours(db: Database, beforeMs: number): Promise<Date[]> {
  const { rows } = await sql<{ hour: Date }>`
    select hour
    from generate_series(
      (select date_trunc('hour', min(bucket), 'UTC') from usage_rollup),
      ${new Date(beforeMs - HOUR_MS)}::timestamptz,
      interval '1 hour'
    ) as hour
    where exists (
      select from usage_rollup as r
      where r.bucket > hour and r.bucket < hour + interval '1 hour'
        and not ${isListed({ hour: sql`hour.hour`, keyId: sql`r.key_id` })}
    )
    order by hour
    limit ${HOURS_PER_RUN}`.execute(db)
  return rows.map((row) => row.hour)
}

/**
 * What is returned by the delete is what is added, so that usage which another process adds to one of the rows meanwhile is
 * counted once, here or there. Such a process is never made to wait for long, and never the one that a deadlock ends.
 */
async function foldSome(db: Database, hour: Date): Promise<number> {
  let folded = 0
  await withBriefLocks(db, async (trx) => {
    const { rows } = await sql<{ folded: number }>`
      with gone as (
        delete from usage_rollup
        where ctid = any(array(
          select r.ctid
          from usage_rollup as r
          where r.bucket > ${hour} and r.bucket < ${hour}::timestamptz + interval '1 hour'
            and not ${isListed({ hour: sql`${hour}::timestamptz`, keyId: sql`r.key_id` })}
          limit ${sql.lit(ROWS_PER_ROUND)}
        ))
        returning key_id, model, country, ${COUNTERS}
      ),
      hours as (
        insert into usage_rollup as r (bucket, key_id, model, country, ${COUNTERS})
        select ${hour}::timestamptz, key_id, model, country, ${SUMS}
        from gone
        group by key_id, model, country
        order by key_id, model, country
        on conflict (bucket, key_id, model, country) do update set ${sql.raw(ADDED_COUNTERS)}
      )
      select count(*) as folded from gone`.execute(trx)
    folded = rows[0]?.folded ?? 0
  })
  return folded
}
