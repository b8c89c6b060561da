import { sql } from 'kysely'
import { systemClock } from '../../src/clock.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { type BenchResult, type BenchRun, type Contestant, inTurns, ratioOf } from './bench.ts'
import { enrichedOf } from './enriched.ts'
import type { BenchServers } from './servers.ts'
import { traffic } from './traffic.ts'

const BATCHES = 40
const BATCH_EVENTS = 1_000
const START_MS = Date.UTC(2026, 10, 20, 12)

/** What exact rollups cost: the statement of the writer against raw rows alone, on one connection. */
export async function statementResult(servers: BenchServers, run: BenchRun): Promise<BenchResult> {
  const batches = batchesOf(Math.max(4, run.quick ? BATCHES / 10 : BATCHES))
  const measure = async (write: (events: readonly EnrichedEvent[]) => Promise<unknown>): Promise<number> => {
    await servers.clear()
    const startedAt = performance.now()
    for (const batch of batches) await write(batch)
    return (batches.length * BATCH_EVENTS * 1_000) / (performance.now() - startedAt)
  }
  const contestants: Contestant[] = [
    {
      name: 'with rollups, sources, keys',
      run: () => {
        const writer = createUsageWriter(servers.database, systemClock)
        return measure((events) => writer.write({ events, rejected: [] }))
      },
    },
    { name: 'raw rows only', run: () => measure((events) => insertRaw(servers, events)) },
  ]
  for (const contestant of contestants) await contestant.run(0)
  run.progress('write statement')
  const figures = await inTurns(contestants, run, 'events/s')
  const ratio = ratioOf(figures, 'with rollups, sources, keys', 'raw rows only')
  return {
    name: 'write statement',
    unit: 'events/s',
    figures,
    goals: [{ name: 'against raw only', measured: ratio, gate: 0.5, goal: 0.7, better: 'higher', unit: 'x' }],
    notes: [`${batches.length} batches of ${BATCH_EVENTS} events, one connection`],
  }
}

function batchesOf(count: number): EnrichedEvent[][] {
  const events = enrichedOf(traffic({ events: count * BATCH_EVENTS, startMs: START_MS }))
  return Array.from({ length: count }, (_, at) => events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS))
}

/** The raw rows of a batch, and that repeats change nothing: what any design that keeps raw events must do. */
async function insertRaw({ database }: BenchServers, events: readonly EnrichedEvent[]): Promise<void> {
  const column = <Value>(pick: (event: EnrichedEvent) => Value | undefined) =>
    events.map((event) => pick(event) ?? null)
  await sql`
    insert into usage_event (
      key_id, event_id, ts, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
      cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata
    )
    select
      key_id, event_id, to_timestamp(ts_ms / 1000), model, provider, ip, country, latitude, longitude, input_tokens,
      output_tokens, cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id,
      environment, metadata
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
    ) as batch (
      key_id, event_id, ts_ms, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
      cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata
    )
    order by key_id collate "C", event_id collate "C"
    on conflict do nothing`.execute(database)
}
