import { CompiledQuery } from 'kysely'
import { DAY_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import { SOURCE_BUCKET_MS } from '../../usage/source.ts'
import { numberArray, textArray } from './array-literal.ts'
import { type Database, prepared } from './database.ts'
import { EVENT_ARRAYS, EVENT_COLUMNS, eventArrays } from './event-arrays.ts'
import type { KeyNews } from './key-news.ts'
import { NOTE_LATE_USAGE } from './late-usage.ts'
import { ADDED_COUNTERS, COUNTER_NAMES, saturated } from './rollup-counters.ts'

/**
 * How far apart two deliveries of one id may be stamped and still count once. Equal stamps count once at any distance:
 * the primary key says so.
 */
const RESTAMP_MS = DAY_MS

/**
 * One statement for the whole batch: raw rows, of those that are really new the rollups and sources, and what is news
 * about keys. Returns how many events were new.
 * `order by` on every insert is what keeps concurrent writers from deadlocking.
 *
 * It fails with an error that `isRaceForIds` knows when another process stores one of these ids at the same moment:
 * then write the batch again with `contested`, which waits for the other and finds what it stored.
 */
export async function insertUsage(
  db: Database,
  { events, news }: { readonly events: readonly EnrichedEvent[]; readonly news: KeyNews },
  { contested = false } = {},
): Promise<number> {
  if (events.length === 0) return 0
  const parameters = [...eventArrays(events), ...restampRange(events), ...newsColumns(news)]
  const statement = contested ? CONTESTED_STATEMENT : STATEMENT
  const { rows } = await db.executeQuery(CompiledQuery.raw(statement, parameters))
  return (rows as { inserted: number }[])[0]?.inserted ?? 0
}

/** True for a unique violation in a partition of usage_event, which `insertUsage` explains. */
export function isRaceForIds(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== '23505') return false
  return 'table' in error && typeof error.table === 'string' && error.table.startsWith('usage_event')
}

const COUNTERS = COUNTER_NAMES.join(', ')
/** Says the same as `totalsOf` in usage/rollup.ts: a refused call is no volume. */
const COUNTERS_OF_EVENTS = `
    count(*),
    count(*) filter (where status_code >= 400),
    ${saturated('sum(input_tokens::float8) filter (where status_code < 400)')},
    ${saturated('sum(output_tokens::float8) filter (where status_code < 400)')},
    ${saturated('sum(cached_input_tokens::float8) filter (where status_code < 400)')},
    ${saturated('sum(cost_nano_usd::float8)')},
    count(*) filter (where status_code < 400 and cost_nano_usd is null)`

/** Adds the rows of a CTE `inserted` to the cube. */
export const ROLL_UP = `
  insert into usage_rollup as r (bucket, key_id, model, country, ${COUNTERS})
  select
    date_bin('1 minute', ts, 'epoch') as bucket,
    key_id,
    model,
    coalesce(country, '') as country,
    ${COUNTERS_OF_EVENTS}
  from inserted
  group by 1, 2, 3, 4
  order by 1, 2, 3, 4
  on conflict (bucket, key_id, model, country) do update set ${ADDED_COUNTERS}`

/** Within a statement an address has one place, so that `max` is that place; when a bucket goes on, its place stays. */
const ADD_SOURCES = `
  insert into usage_source as r (
    bucket, key_id, address, country, latitude, longitude, first_ts, last_ts, ${COUNTERS}
  )
  select
    date_bin('${SOURCE_BUCKET_MS} ms', ts, 'epoch') as bucket,
    key_id,
    ip,
    max(country),
    max(latitude),
    max(longitude),
    min(ts),
    max(ts),
    ${COUNTERS_OF_EVENTS}
  from inserted
  where ip is not null
  group by 1, 2, 3
  order by 1, 2, 3
  on conflict (bucket, key_id, address) do update set
    first_ts = least(r.first_ts, excluded.first_ts),
    last_ts = greatest(r.last_ts, excluded.last_ts),
    ${ADDED_COUNTERS}`

const INSERT_HOURS = `
  insert into unlearnt_hour (hour, key_id)
  select to_timestamp(hour_ms / 1000), key_id
  from unnest($23::float8[], $24::text[]) as seen (hour_ms, key_id)
  order by hour_ms, key_id collate "C"
  on conflict do nothing`

/** Only keys that are new or changed are written: a row that every batch locks would make all writers wait in line for it. */
const UPSERT_KEYS = `
  insert into api_key (key_id, team_id, environment, first_seen_at, last_seen_at)
  select seen.key_id, seen.team_id, seen.environment, seen.first_ts, seen.last_ts
  from (
    select key_id, team_id, environment, to_timestamp(first_ms / 1000) as first_ts, to_timestamp(last_ms / 1000) as last_ts
    from unnest(
      $25::text[],
      $26::text[],
      $27::text[],
      $28::float8[],
      $29::float8[]
    ) as columns (key_id, team_id, environment, first_ms, last_ms)
  ) as seen
  left join api_key as k on k.key_id = seen.key_id
  where k.key_id is null
    or seen.first_ts < k.first_seen_at
    or k.last_seen_at is null
    or seen.last_ts >= k.last_seen_at + interval '1 hour'
    or (
      seen.last_ts >= k.last_seen_at
      and (seen.team_id <> coalesce(k.team_id, '') or seen.environment <> coalesce(k.environment, ''))
    )
  order by seen.key_id collate "C"
  on conflict (key_id) do update set
    team_id = case
      when excluded.last_seen_at >= coalesce(api_key.last_seen_at, '-infinity') then coalesce(excluded.team_id, api_key.team_id)
      else coalesce(api_key.team_id, excluded.team_id)
    end,
    environment = case
      when excluded.last_seen_at >= coalesce(api_key.last_seen_at, '-infinity') then coalesce(excluded.environment, api_key.environment)
      else coalesce(api_key.environment, excluded.environment)
    end,
    first_seen_at = least(api_key.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(api_key.last_seen_at, excluded.last_seen_at)`

/**
 * Ids that are stored already have been sorted out by `fresh`. To let the insert look for them once more is a tenth of
 * the statement's work, for two processes that store one id at the same moment.
 */
const STATEMENT = prepared('insert_usage', statement(''))
const CONTESTED_STATEMENT = prepared('insert_usage_contested', statement('on conflict do nothing'))

/** Prepared: planning it takes longer than 100 rows. */
function statement(onConflict: '' | 'on conflict do nothing'): string {
  return `
  with fresh as (
    select batch.*
    from (
      select *, to_timestamp(ts_ms / 1000) as ts
      from ${EVENT_ARRAYS}
    ) as batch
    left join lateral (
      -- limit 1 makes it an index probe per event, whatever the planner thinks of a partition that is new to it
      select true as known
      from usage_event as e
      where e.key_id = batch.key_id and e.event_id = batch.event_id
        and e.ts between batch.ts - '${RESTAMP_MS} ms'::interval and batch.ts + '${RESTAMP_MS} ms'::interval
        and e.ts between $21 and $22
      limit 1
    ) as earlier on true
    where earlier.known is null
  ),
  inserted as (
    insert into usage_event (${EVENT_COLUMNS})
    select ${EVENT_COLUMNS}
    from fresh
    order by key_id collate "C", event_id collate "C", ts
    ${onConflict}
    returning
      key_id, ts, model, ip, country, latitude, longitude, input_tokens, output_tokens, cached_input_tokens,
      cost_nano_usd, status_code
  ),
  rolled_up as (${ROLL_UP}),
  traced as (${ADD_SOURCES}),
  hours as (${INSERT_HOURS}),
  keys as (${UPSERT_KEYS}),
  late as (${NOTE_LATE_USAGE})
  select count(*) as inserted from inserted`
}

/** Bounds that are known before the statement runs: partitions outside them are not even opened. */
function restampRange(events: readonly EnrichedEvent[]): [from: Date, to: Date] {
  let fromMs = Infinity
  let toMs = -Infinity
  for (const { timestampMs } of events) {
    fromMs = Math.min(fromMs, timestampMs)
    toMs = Math.max(toMs, timestampMs)
  }
  return [new Date(fromMs - RESTAMP_MS), new Date(toMs + RESTAMP_MS)]
}

function newsColumns({ hours, keys }: KeyNews): string[] {
  return [
    numberArray(hours, (hour) => hour.hourMs),
    textArray(hours, (hour) => hour.keyId),
    textArray(keys, (key) => key.keyId),
    textArray(keys, (key) => key.teamId),
    textArray(keys, (key) => key.environment),
    numberArray(keys, (key) => key.firstMs),
    numberArray(keys, (key) => key.lastMs),
  ]
}
