import { sql, type RawBuilder, type Selectable } from 'kysely'
import { LIMIT_DETECTORS } from '../../detect/finding.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { Rollup } from '../../usage/rollup.ts'
import type { EngineStore, KeyHour } from '../engine-store.ts'
import type { Database } from './database.ts'
import { toKey, toRollup } from './key-row.ts'
import { sourcesOfHours } from './key-sources.ts'
import { inShard } from './shard.ts'
import type { UsageRollupTable } from './usage-tables.ts'

/**
 * The hours to learn, oldest first, from the list that the usage writer keeps: no history is scanned, however long, and
 * an imported history is learnt hour by hour. Events that arrive for an hour that a profile has learnt already count in
 * the rollups, but are not taught again: their entry in the list is passed over, and goes when the key next learns.
 */
export async function unlearntHours(
  db: Database,
  settleMs: number,
  ...[shard, { beforeMs, limit }]: Parameters<EngineStore['unlearntHours']>
): Promise<KeyHour[]> {
  const isClosed = sql`u.hour <= ${new Date(beforeMs - HOUR_MS)} and ${inShard(shard, sql.ref('u.key_id'))}`
  const isSettled = sql`u.arrived_at <= clock_timestamp() - ${settleMs} * interval '1 millisecond'`
  const { rows } = await sql<HourRow>`
    with unsettled as materialized (
      select u.hour, u.key_id from unlearnt_hour as u where ${isClosed} and not (${isSettled})
    ),
    -- In the order of the list, so that no more of it is looked at than is asked for.
    listed as materialized (
      select u.hour, u.key_id
      from unlearnt_hour as u
      where ${isClosed} and ${isSettled} and ${isUnlearnt(sql`u`)}
        -- A key learns in order: an hour waits for the earlier ones of its key.
        and not exists (
          select from unsettled as e
          where e.key_id = u.key_id and e.hour < u.hour and ${isUnlearnt(sql`e`)}
        )
      order by u.hour, u.key_id
      limit ${limit}
    )
    select
      u.hour,
      u.key_id,
      k.team_id,
      k.environment,
      exists (
        select from alert as a
        where a.key_id = u.key_id and a.severity in ('warning', 'critical')
          and a.opened_at < u.hour + interval '1 hour'
          -- What was expected goes on after it was closed, and still is no habit. What is safe may become one.
          and (a.resolved_at is null or greatest(a.resolved_at, case when a.verdict = 'expected' then a.last_seen_at end) > u.hour)
          and a.verdict is distinct from 'safe'
          and a.detector <> all(${LIMIT_DETECTORS}::text[])
      ) as suspect,
      (
        (k.frozen_at is not null and k.frozen_at < u.hour + interval '1 hour')
        or (k.state = 'revoked' and coalesce(k.state_since, '-infinity') < u.hour + interval '1 hour')
      ) is true as frozen
    from listed as u
    left join api_key as k on k.key_id = u.key_id
    order by u.hour, u.key_id`.execute(db)
  if (rows.length === 0) return []
  const [usage, sources] = await Promise.all([usageOf(db, rows), sourcesOfHours(db, rows)])
  return rows.map((row, index) => ({
    key: toKey(row),
    hourMs: row.hour.getTime(),
    rollups: usage.get(identity(row))?.rollups ?? [],
    sources: sources[index] ?? [],
    busiestFiveMinutes: usage.get(identity(row))?.busiestFiveMinutes ?? 0,
    largestTokensPerRequest: usage.get(identity(row))?.largestTokensPerRequest ?? 0,
    suspect: row.suspect,
    ...(row.frozen ? { frozen: true } : {}),
  }))
}

/** SQL: the hour of the key is on the list of hours to learn. */
export function isListed({
  hour,
  keyId,
}: {
  readonly hour: RawBuilder<unknown>
  readonly keyId: RawBuilder<unknown>
}): RawBuilder<boolean> {
  return sql<boolean>`exists (select from unlearnt_hour as u where u.hour = ${hour} and u.key_id = ${keyId})`
}

/** SQL: the profile of the key has not learnt past the hour. One look-up for each: the planner would go through all profiles. */
function isUnlearnt(listed: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`
    coalesce((select p.learned_until from profile as p where p.key_id = ${listed}.key_id), '-infinity') <= ${listed}.hour`
}

interface HourRow {
  hour: Date
  key_id: string
  team_id: string | null
  environment: string | null
  suspect: boolean
  frozen: boolean
}

interface HourUsage {
  rollups: Rollup[]
  busiestFiveMinutes: number
  largestTokensPerRequest: number
}

type UsageRow = Selectable<UsageRollupTable> & { busiest: number; largest: number }

/** The usage of the hours, read in one range of the rollups' primary key. */
async function usageOf(db: Database, hours: readonly HourRow[]): Promise<Map<string, HourUsage>> {
  const first = hours[0]?.hour.getTime() ?? 0
  const last = hours.at(-1)?.hour.getTime() ?? 0
  const { rows } = await sql<UsageRow>`
    with minute as materialized (
      select r.*, wanted.hour
      from usage_rollup as r
      join unnest(${hours.map((row) => row.hour.toISOString())}::timestamptz[], ${hours.map((row) => row.key_id)}::text[])
        as wanted (hour, key_id)
        on wanted.key_id = r.key_id and wanted.hour = date_trunc('hour', r.bucket, 'UTC')
      where r.bucket >= ${new Date(first)} and r.bucket < ${new Date(last + HOUR_MS)}
    ),
    busiest as (
      select hour, key_id, max(requests) as busiest, coalesce(max(largest), 0) as largest
      from (
        select
          hour,
          key_id,
          sum(requests - refused) as requests,
          max((input_tokens + output_tokens)::float8 / nullif(requests - refused, 0)) as largest
        from minute
        group by hour, key_id, date_bin('5 minutes', bucket, hour)
      ) as slot
      group by hour, key_id
    )
    select
      hour as bucket,
      key_id,
      model,
      country,
      sum(requests) as requests,
      sum(refused) as refused,
      sum(input_tokens) as input_tokens,
      sum(output_tokens) as output_tokens,
      sum(cached_input_tokens) as cached_input_tokens,
      sum(cost_nano_usd) as cost_nano_usd,
      sum(unpriced) as unpriced,
      busiest.busiest,
      busiest.largest
    from minute
    join busiest using (hour, key_id)
    group by hour, key_id, model, country, busiest.busiest, busiest.largest
    order by hour, key_id, model, country`.execute(db)
  const usage = new Map<string, HourUsage>()
  for (const row of rows) {
    const id = identity({ hour: row.bucket, key_id: row.key_id })
    const known = usage.get(id)
    if (known === undefined)
      usage.set(id, {
        rollups: [toRollup(row)],
        busiestFiveMinutes: row.busiest,
        largestTokensPerRequest: row.largest,
      })
    else known.rollups.push(toRollup(row))
  }
  return usage
}

function identity({ hour, key_id: keyId }: { hour: Date; key_id: string }): string {
  return `${hour.getTime()} ${keyId}`
}
