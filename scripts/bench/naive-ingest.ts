import { createPostgresBackend, type Job, Worker } from 'bullmq'
import geoip from 'geoip-lite'
import pg from 'pg'
import { z } from 'zod'
import type { SentEvent } from './traffic.ts'

const JOBS_AT_ONCE = 50

const eventSchema = z.object({
  id: z.string().min(1).max(128),
  timestamp: z.iso.datetime(),
  key_id: z.string().min(1).max(256),
  model: z.string().min(1).max(256),
  provider: z.string().max(256).optional(),
  ip: z.union([z.ipv4(), z.ipv6()]).optional(),
  input_tokens: z.int().min(0),
  output_tokens: z.int().min(0),
  cached_input_tokens: z.int().min(0),
  cost_usd: z.number().min(0).optional(),
  status_code: z.int().min(100).max(599),
  latency_ms: z.int().min(0).optional(),
  team_id: z.string().max(256).optional(),
  environment: z.string().max(256).optional(),
})

/**
 * The comparison: what one writes first. A job is processed alone, each of its events is checked with zod, looked up in
 * the GeoIP data, and written in a transaction of its own, which stores the same rows as keyhound's. 50 jobs at a time.
 */
export function startNaive(options: {
  readonly queueName: string
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
  readonly onStored: (events: number) => void
}): { stop(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: options.databaseUrl, max: JOBS_AT_ONCE })
  const run = async ({ data }: Job<SentEvent | { events: SentEvent[] }>): Promise<void> => {
    for (const raw of 'events' in data ? data.events : [data]) {
      await store(pool, eventSchema.parse(raw))
      options.onStored(1)
    }
  }
  const settings = { concurrency: JOBS_AT_ONCE, removeOnComplete: { count: 0 } }
  const worker =
    options.redisUrl === undefined
      ? new Worker(
          options.queueName,
          run,
          { ...settings, connection: { connectionString: options.databaseUrl, max: 20 } },
          createPostgresBackend,
        )
      : new Worker(options.queueName, run, {
          ...settings,
          connection: { url: options.redisUrl, maxRetriesPerRequest: null },
        })
  worker.on('error', () => {})
  return {
    async stop() {
      await worker.close()
      await pool.end()
    },
  }
}

async function store(pool: pg.Pool, event: z.infer<typeof eventSchema>): Promise<void> {
  const place = event.ip === undefined ? null : geoip.lookup(event.ip)
  const costNanoUsd = event.cost_usd === undefined ? null : Math.round(event.cost_usd * 1e9)
  const refused = event.status_code >= 400 ? 1 : 0
  const counters = [
    1,
    refused,
    refused ? 0 : event.input_tokens,
    refused ? 0 : event.output_tokens,
    refused ? 0 : event.cached_input_tokens,
    costNanoUsd ?? 0,
    costNanoUsd === null ? 1 : 0,
  ]
  const client = await pool.connect()
  try {
    await client.query('begin')
    const { rowCount } = await client.query(INSERT_EVENT, [
      event.key_id,
      event.id,
      event.timestamp,
      event.model,
      event.provider,
      event.ip,
      place?.country,
      place?.ll[0],
      place?.ll[1],
      event.input_tokens,
      event.output_tokens,
      event.cached_input_tokens,
      costNanoUsd,
      event.status_code,
      event.latency_ms,
      event.team_id,
      event.environment,
    ])
    if (rowCount === 1) {
      await client.query(ADD_ROLLUP, [
        event.timestamp,
        event.key_id,
        event.model,
        place?.country ?? '',
        ...counters,
      ])
      if (event.ip !== undefined) {
        const where = [place?.country, place?.ll[0], place?.ll[1]]
        await client.query(ADD_SOURCE, [event.timestamp, event.key_id, event.ip, ...where, ...counters])
      }
      await client.query(ADD_HOUR, [event.timestamp, event.key_id])
      await client.query(ADD_KEY, [event.key_id, event.team_id, event.environment, event.timestamp])
    }
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}

const INSERT_EVENT = `
  insert into usage_event (
    key_id, event_id, ts, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
    cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, environment
  ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, false, $14, $15, $16, $17)
  on conflict do nothing`
const COUNTERS =
  'requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced'
const ADDED = COUNTERS.split(', ')
  .map((name) => `${name} = r.${name} + excluded.${name}`)
  .join(', ')
const ADD_ROLLUP = `
  insert into usage_rollup as r (bucket, key_id, model, country, ${COUNTERS})
  values (date_trunc('minute', $1::timestamptz), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
  on conflict (bucket, key_id, model, country) do update set ${ADDED}`
const ADD_SOURCE = `
  insert into usage_source as r (
    bucket, key_id, address, country, latitude, longitude, first_ts, last_ts, ${COUNTERS}
  ) values (
    date_bin('10 minutes', $1::timestamptz, 'epoch'), $2, $3, $4, $5, $6, $1, $1, $7, $8, $9, $10, $11, $12, $13
  ) on conflict (bucket, key_id, address) do update set
    first_ts = least(r.first_ts, excluded.first_ts), last_ts = greatest(r.last_ts, excluded.last_ts), ${ADDED}`
const ADD_HOUR = `
  insert into unlearnt_hour (hour, key_id) values (date_trunc('hour', $1::timestamptz), $2) on conflict do nothing`
const ADD_KEY = `
  insert into api_key (key_id, team_id, environment, first_seen_at, last_seen_at) values ($1, $2, $3, $4, $4)
  on conflict do nothing`
