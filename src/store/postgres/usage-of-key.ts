import { sql } from 'kysely'
import { BUCKET_MS, bucketStart, type UsageTotals } from '../../usage/rollup.ts'
import type { Database } from './database.ts'

/** Usage of one key over a span of time, by model and country. */
export interface UsageShare extends UsageTotals {
  readonly model: string
  /** '' when the place is unknown. */
  readonly country: string
}

/**
 * The usage of one key in the minutes from `fromMs` to `toMs`. One index probe per minute (a day takes some ten
 * milliseconds), because the rollups are ordered by time first: a span of days would read the rollups of every key.
 */
export async function usageOfKey(
  db: Database,
  keyId: string,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<UsageShare[]> {
  const from = new Date(bucketStart(fromMs, BUCKET_MS))
  const { rows } = await sql<UsageShare>`
    select
      r.model,
      r.country,
      sum(r.requests) as "requests",
      sum(r.refused) as "refused",
      sum(r.input_tokens) as "inputTokens",
      sum(r.output_tokens) as "outputTokens",
      sum(r.cached_input_tokens) as "cachedInputTokens",
      sum(r.cost_nano_usd) as "costNanoUsd",
      sum(r.unpriced) as "unpriced"
    from generate_series(${from}::timestamptz, ${new Date(toMs)}::timestamptz, interval '1 minute') as minute (bucket)
    cross join lateral (
      select * from usage_rollup where bucket = minute.bucket and key_id = ${keyId}
      offset 0 -- keeps the planner from turning the probes into a scan
    ) as r
    group by r.model, r.country
    order by r.model, r.country`.execute(db)
  return rows
}
