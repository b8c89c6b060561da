import { sql } from 'kysely'
import type { Clock } from '../../clock.ts'
import { DAY_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { SOURCE_BUCKET_MS } from '../../usage/source.ts'
import type { UsageWriter } from '../usage-store.ts'
import type { Database } from './database.ts'
import { KeyMemory, type KeyNews } from './key-news.ts'
import { ensurePartitions } from './partitions.ts'
import { insertRejected } from './rejected-events.ts'
import { takeTurns } from './take-turns.ts'

/**
 * How far apart two deliveries of one id may be stamped and still count once. Equal stamps count once at any distance:
 * the primary key says so.
 */
const RESTAMP_MS = DAY_MS
/** Counters stop here instead of failing a batch, or counting wrongly in JavaScript. */
const COUNTER_MAX = sql.lit(Number.MAX_SAFE_INTEGER)

/**
 * The daemon's UsageWriter. Many may run at once, in one process and in many: all insert in the same order, so that
 * they never deadlock. Of deliveries of one id with different stamps that two processes write at the very same moment,
 * both may count; within a process they wait for one another.
 */
export function createUsageWriter(db: Database, clock: Clock): UsageWriter {
  const daysKnown = new Set<number>()
  const turns = takeTurns()
  const memory = new KeyMemory()

  async function ensureDays(events: readonly EnrichedEvent[]): Promise<void> {
    const days = new Set(events.map((event) => bucketStart(event.timestampMs, DAY_MS)))
    const unknown = [...days].filter((day) => !daysKnown.has(day))
    if (unknown.length === 0) return
    await ensurePartitions(db, unknown, clock.nowMs())
    for (const day of unknown) daysKnown.add(day)
  }

  return {
    async write({ events, rejected }) {
      const unique = firstOfEach(events)
      const batch = { events: [...unique.values()], news: memory.newsOf(unique.values()) }
      await ensureDays(batch.events)
      const inserted = await turns([...unique.keys()], () => {
        if (rejected.length === 0) return insertEvents(db, batch)
        return db.transaction().execute(async (trx) => {
          await insertRejected(trx, rejected)
          return insertEvents(trx, batch)
        })
      })
      memory.remember(batch.news)
      return { inserted, duplicates: events.length - inserted }
    },
  }
}

interface Batch {
  readonly events: readonly EnrichedEvent[]
  readonly news: KeyNews
}

/** The first delivery of every id in the batch, by an unmistakable text of key and id. */
function firstOfEach(events: readonly EnrichedEvent[]): Map<string, EnrichedEvent> {
  const first = new Map<string, EnrichedEvent>()
  for (const event of events) {
    const identity = `${event.keyId.length}:${event.keyId}${event.id}`
    if (!first.has(identity)) first.set(identity, event)
  }
  return first
}

/**
 * One statement for the whole batch: raw rows, of those that are really new the rollups and sources, and what is news
 * about keys.
 * `order by` on every insert is what keeps concurrent writers from deadlocking.
 */
async function insertEvents(db: Database, { events, news }: Batch): Promise<number> {
  if (events.length === 0) return 0
  const { from, to } = restampRange(events)
  const { rows } = await sql<{ inserted: number }>`
    with fresh as (
      select batch.*
      from ${unnest(events)}
      left join lateral (
        -- limit 1 makes it an index probe per event, whatever the planner thinks of a partition that is new to it
        select true as known
        from usage_event as e
        where e.key_id = batch.key_id and e.event_id = batch.event_id
          and e.ts between batch.ts - ${sql.lit(`${RESTAMP_MS} ms`)}::interval and batch.ts + ${sql.lit(`${RESTAMP_MS} ms`)}::interval
          and e.ts between ${from} and ${to}
        limit 1
      ) as earlier on true
      where earlier.known is null
    ),
    inserted as (
      insert into usage_event (
        key_id, event_id, ts, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
        cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata
      )
      select
        key_id, event_id, ts, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
        cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata
      from fresh
      order by key_id collate "C", event_id collate "C", ts
      on conflict do nothing
      returning
        key_id, ts, model, ip, country, latitude, longitude, input_tokens, output_tokens, cached_input_tokens,
        cost_nano_usd, status_code
    ),
    rolled_up as (${rollUp}),
    traced as (${addSources}),
    hours as (${insertHours(news.hours)}),
    keys as (${upsertKeys(news.keys)})
    select count(*) as inserted from inserted`.execute(db)
  return rows[0]?.inserted ?? 0
}

const counters = sql`requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced`
/** Says the same as `totalsOf` in usage/rollup.ts: a refused call is no volume. */
const countersOfEvents = sql`
    count(*),
    count(*) filter (where status_code >= 400),
    ${saturated(sql`sum(input_tokens) filter (where status_code < 400)`)},
    ${saturated(sql`sum(output_tokens) filter (where status_code < 400)`)},
    ${saturated(sql`sum(cached_input_tokens) filter (where status_code < 400)`)},
    ${saturated(sql`sum(cost_nano_usd)`)},
    count(*) filter (where status_code < 400 and cost_nano_usd is null)`
const addedCounters = sql`
    requests = r.requests + excluded.requests,
    refused = r.refused + excluded.refused,
    input_tokens = least(r.input_tokens + excluded.input_tokens, ${COUNTER_MAX}),
    output_tokens = least(r.output_tokens + excluded.output_tokens, ${COUNTER_MAX}),
    cached_input_tokens = least(r.cached_input_tokens + excluded.cached_input_tokens, ${COUNTER_MAX}),
    cost_nano_usd = least(r.cost_nano_usd + excluded.cost_nano_usd, ${COUNTER_MAX}),
    unpriced = r.unpriced + excluded.unpriced`

const rollUp = sql`
  insert into usage_rollup as r (bucket, key_id, model, country, ${counters})
  select
    date_trunc('minute', ts, 'UTC') as bucket,
    key_id,
    model,
    coalesce(country, '') as country,
    ${countersOfEvents}
  from inserted
  group by 1, 2, 3, 4
  order by 1, 2, 3, 4
  on conflict (bucket, key_id, model, country) do update set ${addedCounters}`

/** Within a statement an address has one place, so that `max` is that place; when a bucket goes on, its place stays. */
const addSources = sql`
  insert into usage_source as r (
    bucket, key_id, address, country, latitude, longitude, first_ts, last_ts, ${counters}
  )
  select
    date_bin(${sql.lit(`${SOURCE_BUCKET_MS} ms`)}::interval, ts, 'epoch') as bucket,
    key_id,
    ip,
    max(country),
    max(latitude),
    max(longitude),
    min(ts),
    max(ts),
    ${countersOfEvents}
  from inserted
  where ip is not null
  group by 1, 2, 3
  order by 1, 2, 3
  on conflict (bucket, key_id, address) do update set
    first_ts = least(r.first_ts, excluded.first_ts),
    last_ts = greatest(r.last_ts, excluded.last_ts),
    ${addedCounters}`

function saturated(sum: ReturnType<typeof sql>) {
  return sql`least(coalesce(${sum}, 0), ${COUNTER_MAX})`
}

function insertHours(hours: KeyNews['hours']) {
  return sql`
  insert into unlearnt_hour (hour, key_id)
  select to_timestamp(hour_ms / 1000), key_id
  from unnest(${hours.map((hour) => hour.hourMs)}::float8[], ${hours.map((hour) => hour.keyId)}::text[]) as seen (hour_ms, key_id)
  order by hour_ms, key_id collate "C"
  on conflict do nothing`
}

/** Only keys that are new or changed are written: a row that every batch locks would make all writers wait in line for it. */
function upsertKeys(keys: KeyNews['keys']) {
  return sql`
  insert into api_key (key_id, team_id, environment, first_seen_at, last_seen_at)
  select seen.key_id, seen.team_id, seen.environment, seen.first_ts, seen.last_ts
  from (
    select key_id, team_id, environment, to_timestamp(first_ms / 1000) as first_ts, to_timestamp(last_ms / 1000) as last_ts
    from unnest(
      ${keys.map((key) => key.keyId)}::text[],
      ${keys.map((key) => key.teamId ?? null)}::text[],
      ${keys.map((key) => key.environment ?? null)}::text[],
      ${keys.map((key) => key.firstMs)}::float8[],
      ${keys.map((key) => key.lastMs)}::float8[]
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
}

/** Bounds known when the statement is planned: partitions outside them are not even opened. */
function restampRange(events: readonly EnrichedEvent[]): { from: Date; to: Date } {
  let fromMs = Infinity
  let toMs = -Infinity
  for (const { timestampMs } of events) {
    fromMs = Math.min(fromMs, timestampMs)
    toMs = Math.max(toMs, timestampMs)
  }
  return { from: new Date(fromMs - RESTAMP_MS), to: new Date(toMs + RESTAMP_MS) }
}

/** The batch as one array per column: a third of the work of a row of parameters per event. */
function unnest(events: readonly EnrichedEvent[]) {
  const column = <Value>(pick: (event: EnrichedEvent) => Value | undefined) =>
    events.map((event) => pick(event) ?? null)
  return sql`(
    select *, to_timestamp(ts_ms / 1000) as ts
    from unnest(
      ${column((event) => event.keyId)}::text[],
      ${column((event) => event.id)}::text[],
      ${column((event) => event.timestampMs)}::float8[],
      ${column((event) => event.model)}::text[],
      ${column((event) => event.provider)}::text[],
      ${column((event) => event.ip)}::text[],
      ${column((event) => event.place?.country)}::text[],
      ${column((event) => event.place?.latitude)}::float8[],
      ${column((event) => event.place?.longitude)}::float8[],
      ${column((event) => event.inputTokens)}::bigint[],
      ${column((event) => event.outputTokens)}::bigint[],
      ${column((event) => event.cachedInputTokens)}::bigint[],
      ${column((event) => event.costNanoUsd)}::bigint[],
      ${column((event) => event.costEstimated)}::boolean[],
      ${column((event) => event.statusCode)}::integer[],
      ${column((event) => event.latencyMs)}::bigint[],
      ${column((event) => event.teamId)}::text[],
      ${column((event) => event.userId)}::text[],
      ${column((event) => event.environment)}::text[],
      ${column((event) => (event.metadata === undefined ? undefined : JSON.stringify(event.metadata)))}::jsonb[]
    ) as columns (
      key_id, event_id, ts_ms, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
      cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata
    )
  ) as batch`
}
