import { sql } from 'kysely'
import { DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS } from '../../usage/duration.ts'
import { BUCKET_MS } from '../../usage/rollup.ts'
import type { Database } from './database.ts'

/** What the database knows of keyhound's health, cheap enough to be asked every few seconds. */
export interface HealthFacts {
  /** End of the newest minute with usage; undefined when there is none. */
  readonly newestUsageMs: number | undefined
  readonly oldestUsageMs: number | undefined
  /** Messages that are due and that nobody has tried to send. */
  readonly overdue: number
  readonly oldestDueMs: number | undefined
  /** Events refused since REJECTED_WITHIN_MS ago, and the commonest reason. */
  readonly rejected: number
  readonly commonestReason: string | undefined
  /** Keys whose newest revocation of the last day failed for good. */
  readonly failedRevocations: number
  /** Why the policy revokes nothing by itself at present; empty when it may. */
  readonly halts: readonly string[]
}

export const REJECTED_WITHIN_MS = 15 * MINUTE_MS
/** A usual volume is looked up for a span of an hour at most: what lasts longer is known by then. */
const USUAL_SPAN_MAX_MS = HOUR_MS
const MODELS_NAMED = 10

interface HealthRow {
  newest: Date | null
  oldest: Date | null
  overdue: number
  oldest_due: Date | null
  rejected: number
  commonest: string | null
  failed_revocations: number
  halts: string[]
}

export async function readHealthFacts(db: Database, nowMs: number): Promise<HealthFacts> {
  const now = new Date(nowMs)
  const { rows } = await sql<HealthRow>`
    with refused as (
      select reason, count(*) as events
      from rejected_event
      where received_at > ${new Date(nowMs - REJECTED_WITHIN_MS)}
      group by reason
    ),
    waiting as (
      select due_at
      from delivery as d
      where d.state = 'pending' and d.attempts = 0 and d.locked_until is null and d.due_at <= ${now}
        -- A channel that is broken, asked for a pause, fails or works off a flood is looked after: that is told elsewhere.
        and not exists (
          select from channel_state as c
          where c.channel = d.channel
            and (
              c.broken_at is not null or c.failing_since is not null or c.free_at > ${now}
              or c.last_delivered_at > ${new Date(nowMs - MINUTE_MS)}
            )
        )
    )
    select
      -- What lies in the future says nothing about now.
      (select max(bucket) from usage_rollup where bucket <= ${now}) as newest,
      (select min(bucket) from usage_rollup) as oldest,
      (select count(*) from waiting) as overdue,
      (select min(due_at) from waiting) as oldest_due,
      (select coalesce(sum(events), 0) from refused) as rejected,
      (select reason from refused order by events desc, reason limit 1) as commonest,
      (
        select count(distinct r.key_id)
        from revocation as r
        where r.state = 'failed' and r.updated_at > ${new Date(nowMs - DAY_MS)}
          and not exists (
            select from revocation as later where later.key_id = r.key_id and later.created_at > r.created_at
          )
      ) as failed_revocations,
      (
        select coalesce(jsonb_agg(h.reason order by h.started_at), '[]') from response_halt as h where h.ended_at is null
      ) as halts`.execute(db)
  const [row] = rows
  if (row === undefined) throw new Error('a query without a condition gave no row')
  return {
    newestUsageMs: row.newest === null ? undefined : row.newest.getTime() + BUCKET_MS,
    oldestUsageMs: row.oldest?.getTime(),
    overdue: row.overdue,
    oldestDueMs: row.oldest_due?.getTime(),
    rejected: row.rejected,
    commonestReason: row.commonest ?? undefined,
    failedRevocations: row.failed_revocations,
    halts: row.halts,
  }
}

/**
 * How many requests were usual in the span since `fromMs`, of which an hour is looked at, at the most: those of the same
 * span a week ago; with less history a day ago; with less than that, those of a span of that length before it.
 */
export async function usualRequests(
  db: Database,
  { fromMs, nowMs, oldestMs }: { readonly fromMs: number; readonly nowMs: number; readonly oldestMs: number },
): Promise<number> {
  const spanMs = Math.min(nowMs - fromMs, USUAL_SPAN_MAX_MS)
  const back = [WEEK_MS, DAY_MS].find((ms) => fromMs - ms >= oldestMs) ?? spanMs
  const { rows } = await sql<{ requests: number }>`
    select coalesce(sum(requests), 0) as requests
    from usage_rollup
    where bucket >= ${new Date(fromMs - back)} and bucket < ${new Date(fromMs - back + spanMs)}`.execute(db)
  return rows[0]?.requests ?? 0
}

/** Successful requests of the last hour, how many of them have no known cost, and their models, most used first. */
export async function lastHourPricing(
  db: Database,
  nowMs: number,
): Promise<{ readonly requests: number; readonly unpriced: number; readonly models: readonly string[] }> {
  const { rows } = await sql<{ model: string; requests: number; unpriced: number }>`
    select model, sum(requests - refused) as requests, sum(unpriced) as unpriced
    from usage_rollup
    where bucket > ${new Date(nowMs - HOUR_MS)} and bucket <= ${new Date(nowMs)}
    group by model
    order by unpriced desc, model`.execute(db)
  return {
    requests: rows.reduce((sum, row) => sum + row.requests, 0),
    unpriced: rows.reduce((sum, row) => sum + row.unpriced, 0),
    models: rows
      .filter((row) => row.unpriced > 0)
      .slice(0, MODELS_NAMED)
      .map((row) => row.model),
  }
}
