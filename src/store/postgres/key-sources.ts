import { sql, type RawBuilder, type Selectable } from 'kysely'
import { HOUR_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { SOURCE_BUCKET_MS, SOURCES_MAX, sumSources, type SourceUsage } from '../../usage/source.ts'
import type { Database } from './database.ts'
import { toSource } from './key-row.ts'
import type { UsageSourceTable } from './usage-tables.ts'

/** The sources of the keys in the RECENT_USAGE_MS up to the instant, by key id, in the order that `KeyUsage` wants. */
export async function recentSources(
  db: Database,
  keyIds: readonly string[],
  nowMs: number,
): Promise<Map<string, SourceUsage[]>> {
  if (keyIds.length === 0) return new Map()
  const now = new Date(nowMs)
  const { rows } = await sql<Selectable<UsageSourceTable>>`
    select *
    from ${busiestOf(sql`
      from usage_source as s
      join unnest(${[...keyIds]}::text[]) as active (key_id) on active.key_id = s.key_id
      where s.bucket >= ${new Date(bucketStart(nowMs - RECENT_USAGE_MS, SOURCE_BUCKET_MS))} and s.bucket <= ${now}
        and s.first_ts <= ${now}`)} as s
    order by bucket, address`.execute(db)
  return Map.groupBy(rows.map(toSource), ({ keyId }) => keyId)
}

/** The sources of hours of keys (ascending by hour), each summed to the hour, in the order of `hours`; read in one range. */
export async function sourcesOfHours(
  db: Database,
  hours: readonly { readonly hour: Date; readonly key_id: string }[],
): Promise<SourceUsage[][]> {
  const first = hours[0]?.hour.getTime() ?? 0
  const last = hours.at(-1)?.hour.getTime() ?? 0
  const { rows } = await sql<Selectable<UsageSourceTable>>`
    select *
    from ${busiestOf(sql`
      from usage_source as s
      join unnest(${hours.map((row) => row.hour.toISOString())}::timestamptz[], ${hours.map((row) => row.key_id)}::text[])
        as wanted (hour, key_id)
        on wanted.key_id = s.key_id and wanted.hour = date_trunc('hour', s.bucket, 'UTC')
      where s.bucket >= ${new Date(first)} and s.bucket < ${new Date(last + HOUR_MS)}`)} as s
    order by bucket`.execute(db)
  const sources = Map.groupBy(rows.map(toSource), (source) =>
    identity(bucketStart(source.bucketMs, HOUR_MS), source.keyId),
  )
  return hours.map(({ hour, key_id: keyId }) =>
    sumSources(hour.getTime(), sources.get(identity(hour.getTime(), keyId)) ?? []),
  )
}

function identity(hourMs: number, keyId: string): string {
  return `${hourMs} ${keyId}`
}

/** SQL of rows of `usage_source`, given as one that names them `s`: of each bucket of a key the busiest. */
function busiestOf(sources: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(
    select *
    from (
      select s.*, row_number() over (partition by s.key_id, s.bucket order by s.requests desc, s.address) as rank
      ${sources}
    ) as ranked
    where rank <= ${sql.lit(SOURCES_MAX)}
  )`
}
