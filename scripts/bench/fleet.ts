import { sql } from 'kysely'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, LEARN_DELAY_MS, type Profile } from '../../src/detect/profile.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import { ADDED_COUNTERS, COUNTER_NAMES } from '../../src/store/postgres/rollup-counters.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { bucketStart, NO_USAGE, type UsageTotals } from '../../src/usage/rollup.ts'

const LEARNT_DAYS = 28
const MODELS = ['gpt-4o', 'claude-sonnet-4-5'] as const
/** Of rows that are written in one statement, which must not take a minute. */
const KEYS_PER_STATEMENT = 10_000
const COUNTERS = COUNTER_NAMES.join(', ')
/** As the counters of three requests: 800 tokens in and 300 out each. */
const THREE_REQUESTS = '3, 0, 2400, 900, 0, 15000000, 0'
const ONE_REQUEST = '1, 0, 800, 300, 0, 5000000, 0'
/** An hour of a key in its profile: more than any of the ticks adds up to, so that they find nothing. */
const USUAL_REQUESTS = 450

export interface Fleet {
  readonly keys: number
  /** The first so many are in use, and have a profile of four weeks; of the others only their row is there. */
  readonly active: number
  readonly nowMs: number
}

/**
 * A fleet as its database looks in the middle of an afternoon: the active keys have a row for every fourth minute of the
 * last two hours, from one address and now and then another.
 */
export async function writeFleet(database: Database, { keys, active, nowMs }: Fleet): Promise<void> {
  const now = new Date(nowMs)
  const since = new Date(nowMs - LEARNT_DAYS * DAY_MS)
  const learntUntil = new Date(closedMs(nowMs))
  const state = JSON.stringify(learntProfile(learntUntil.getTime()))
  const writeKeys = async ([from, to]: Span) => {
    await sql`
      insert into api_key (key_id, team_id, environment, first_seen_at, last_seen_at)
      select 'key-' || n, 'team-' || n % 40, 'production', ${since}::timestamptz, ${now}
      from generate_series(${from}::int, ${to}::int) as n`.execute(database)
    await sql`
      insert into profile (key_id, learned_until, state)
      select
        'key-' || n, ${learntUntil}::timestamptz,
        case when n <= ${active} then replace(${state}, '"keyId":"key"', '"keyId":"key-' || n || '"') else '{}' end::json
      from generate_series(${from}::int, ${to}::int) as n`.execute(database)
  }
  const writeUsage = async ([from, to]: Span) => {
    await sql`
      insert into usage_rollup (bucket, key_id, model, country, ${sql.raw(COUNTERS)})
      select
        date_trunc('minute', ${now}::timestamptz) - (4 * m + n % 4) * interval '1 minute', 'key-' || n,
        case when m % 2 = 0 then ${MODELS[0]} else ${MODELS[1]} end, 'US', ${sql.raw(THREE_REQUESTS)}
      from generate_series(0, 29) as m, generate_series(${from}::int, ${to}::int) as n
      order by 1`.execute(database)
    await sql`
      insert into usage_source (bucket, key_id, address, country, latitude, longitude, first_ts, last_ts, ${sql.raw(COUNTERS)})
      select
        bucket, 'key-' || n, address, 'US', 40.7, -74, bucket, least(bucket + interval '9 minutes', ${now}),
        ${sql.raw(THREE_REQUESTS)}
      from generate_series(0, 11) as b, generate_series(${from}::int, ${to}::int) as n,
        lateral (select date_bin('10 minutes', ${now}, 'epoch') - b * interval '10 minutes' as bucket) as t,
        lateral (select '8.8.8.8' as address union all select '8.8.4.4' where b % 4 = 0) as a
      order by 1`.execute(database)
  }
  await Promise.all([inSpans(keys, writeKeys), inSpans(active, writeUsage)])
  await sql`vacuum analyze`.execute(database)
}

/** One request of each active key of one of `parts` equal parts, as ingest adds it: in the minute of `nowMs`, and to its address. */
export async function useKeys(
  database: Database,
  { active, nowMs, part, parts }: { active: number; nowMs: number; part: number; parts: number },
): Promise<void> {
  const now = new Date(nowMs)
  const keys = sql`generate_series(${1 + (part % parts)}::int, ${active}::int, ${parts}::int) as n`
  await sql`
    insert into usage_rollup as r (bucket, key_id, model, country, ${sql.raw(COUNTERS)})
    select date_trunc('minute', ${now}::timestamptz), 'key-' || n, ${MODELS[0]}, 'US', ${sql.raw(ONE_REQUEST)}
    from ${keys}
    on conflict (bucket, key_id, model, country) do update set ${sql.raw(ADDED_COUNTERS)}`.execute(database)
  await sql`
    insert into usage_source as r (bucket, key_id, address, country, latitude, longitude, first_ts, last_ts, ${sql.raw(COUNTERS)})
    select date_bin('10 minutes', ${now}, 'epoch'), 'key-' || n, '8.8.8.8', 'US', 40.7, -74, ${now}, ${now}, ${sql.raw(ONE_REQUEST)}
    from ${keys}
    on conflict (bucket, key_id, address) do update set last_ts = excluded.last_ts, ${sql.raw(ADDED_COUNTERS)}`.execute(
    database,
  )
}

/** Puts the hour that closed last on the list of hours to learn, for every active key. */
export async function closeHour(
  database: Database,
  { active, nowMs }: Pick<Fleet, 'active' | 'nowMs'>,
): Promise<void> {
  await sql`
    insert into unlearnt_hour (hour, key_id, arrived_at)
    select ${new Date(closedMs(nowMs) - HOUR_MS)}::timestamptz, 'key-' || n, now() - interval '1 hour'
    from generate_series(1, ${active}::int) as n`.execute(database)
}

function closedMs(nowMs: number): number {
  return bucketStart(nowMs - LEARN_DELAY_MS, HOUR_MS)
}

/** Adds a row per active key and hour, `hoursPerDay` of them, for the days before. */
export async function growHistory(
  database: Database,
  { active, nowMs }: Pick<Fleet, 'active' | 'nowMs'>,
  { fromDays, toDays, hoursPerDay = 24 }: { fromDays: number; toDays: number; hoursPerDay?: number },
): Promise<void> {
  const days = Array.from({ length: toDays - fromDays }, (_, index) => fromDays + index)
  await inTwo(days, async (day) => {
    await sql`
      insert into usage_rollup (bucket, key_id, model, country, ${sql.raw(COUNTERS)})
      select
        ${new Date(bucketStart(nowMs, HOUR_MS) - (day + 1) * DAY_MS)}::timestamptz + h * interval '1 hour' - interval '3 hours',
        'key-' || n, ${MODELS[0]}, 'US', 40, 1, 32000, 12000, 0, 200000000, 0
      from generate_series(0, ${hoursPerDay}::int - 1) as h, generate_series(1, ${active}::int) as n`.execute(
      database,
    )
  })
  await sql`vacuum analyze usage_rollup`.execute(database)
}

type Span = readonly [from: number, to: number]

async function inSpans(count: number, write: (span: Span) => Promise<void>): Promise<void> {
  for (let from = 1; from <= count; from += KEYS_PER_STATEMENT)
    await write([from, Math.min(count, from + KEYS_PER_STATEMENT - 1)])
}

/** One after the other on two connections: a server of two cores can do no more at once. */
async function inTwo<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = [...items]
  const one = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all([one(), one()])
}

/** Four weeks of a key at work: as large as profiles are. */
function learntProfile(endMs: number): Profile {
  const key = { keyId: 'key', firstSeenMs: endMs - LEARNT_DAYS * DAY_MS, timeZone: 'UTC' }
  let profile = emptyProfile(key)
  for (let hourMs = key.firstSeenMs; hourMs < endMs; hourMs += HOUR_MS) {
    const usage = {
      ...usageOf(USUAL_REQUESTS + 10 * ((hourMs / HOUR_MS) % 12)),
      keyId: 'key',
      bucketMs: hourMs,
      country: 'US',
    }
    const place = { country: 'US', latitude: 40.7, longitude: -74 }
    profile = learnHour(
      profile,
      {
        hourMs,
        rollups: MODELS.map((model) => ({ ...usage, model })),
        sources: ['8.8.4.4', '8.8.8.8'].map((address) => ({
          ...usage,
          ...place,
          address,
          firstMs: hourMs,
          lastMs: hourMs + HOUR_MS - 1,
        })),
        suspect: false,
      },
      'UTC',
    )
  }
  return profile
}

/** As the minute rows above: 800 tokens in and 300 out a request. */
function usageOf(requests: number): UsageTotals {
  return {
    ...NO_USAGE,
    requests,
    inputTokens: 800 * requests,
    outputTokens: 300 * requests,
    costNanoUsd: 5_000_000 * requests,
  }
}
