import { sql } from 'kysely'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { bucketStart, NO_USAGE, type UsageTotals } from '../../src/usage/rollup.ts'

const LEARNT_DAYS = 28
const MODELS = ['gpt-4o', 'claude-sonnet-4-5'] as const

/**
 * A fleet as its database looks in the middle of an afternoon: every key has a profile of four weeks; the active ones have
 * a row for every fourth minute of the last two hours, from one address and now and then another.
 */
export async function writeFleet(
  database: Database,
  { keys, active, nowMs }: { readonly keys: number; readonly active: number; readonly nowMs: number },
): Promise<void> {
  const now = new Date(nowMs)
  const state = JSON.stringify(learntProfile(nowMs))
  await sql`
    insert into api_key (key_id, team_id, environment, first_seen_at, last_seen_at)
    select 'key-' || n, 'team-' || n % 40, 'production', ${new Date(nowMs - LEARNT_DAYS * DAY_MS)}::timestamptz, ${now}
    from generate_series(1, ${keys}::int) as n`.execute(database)
  await sql`
    insert into profile (key_id, learned_until, state)
    select 'key-' || n, ${new Date(bucketStart(nowMs, HOUR_MS))}::timestamptz, jsonb_set(${state}::jsonb, '{keyId}', to_jsonb('key-' || n))
    from generate_series(1, ${keys}::int) as n`.execute(database)
  await sql`
    insert into usage_rollup (
      bucket, key_id, model, country, requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced
    )
    select
      date_trunc('minute', ${now}::timestamptz) - (4 * m + n % 4) * interval '1 minute', 'key-' || n,
      case when m % 2 = 0 then ${MODELS[0]} else ${MODELS[1]} end, 'US', 3, 0, 2400, 900, 0, 15000000, 0
    from generate_series(0, 29) as m, generate_series(1, ${active}::int) as n
    order by 1, 2`.execute(database)
  await sql`
    insert into usage_source (
      bucket, key_id, address, country, latitude, longitude, requests, refused, input_tokens, output_tokens,
      cached_input_tokens, cost_nano_usd, unpriced, first_ts, last_ts
    )
    select
      bucket, key_id, address, 'US', 40.7, -74, 6, 0, 4800, 1800, 0, 30000000, 0, bucket, least(bucket + interval '9 minutes', ${now})
    from (
      select date_bin('10 minutes', ${now}, 'epoch') - b * interval '10 minutes' as bucket, 'key-' || n as key_id, a.address
      from generate_series(0, 11) as b, generate_series(1, ${active}::int) as n,
        lateral (select '8.8.8.8' as address union all select '8.8.4.4' where b % 4 = 0) as a
    ) as used
    order by 1, 2, 3`.execute(database)
  await sql`vacuum analyze`.execute(database)
}

/** Adds a row per active key and hour for the days before. */
export async function growHistory(
  database: Database,
  {
    active,
    nowMs,
    fromDays,
    toDays,
  }: { readonly active: number; readonly nowMs: number; readonly fromDays: number; readonly toDays: number },
): Promise<void> {
  for (let day = fromDays; day < toDays; day += 1) {
    await sql`
      insert into usage_rollup (
        bucket, key_id, model, country, requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced
      )
      select
        ${new Date(bucketStart(nowMs, HOUR_MS) - (day + 1) * DAY_MS)}::timestamptz + h * interval '1 hour' - interval '3 hours',
        'key-' || n, ${MODELS[0]}, 'US', 40, 1, 32000, 12000, 0, 200000000, 0
      from generate_series(0, 23) as h, generate_series(1, ${active}::int) as n
      order by 1, 2`.execute(database)
  }
  await sql`vacuum analyze usage_rollup`.execute(database)
}

/** Four weeks of a key at work: as large as profiles are. */
function learntProfile(nowMs: number): Profile {
  const endMs = bucketStart(nowMs, HOUR_MS)
  const key = { keyId: 'key', firstSeenMs: endMs - LEARNT_DAYS * DAY_MS, timeZone: 'UTC' }
  let profile = emptyProfile(key)
  for (let hourMs = key.firstSeenMs; hourMs < endMs; hourMs += HOUR_MS) {
    const usage = {
      ...usageOf(15 + ((hourMs / HOUR_MS) % 12)),
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
