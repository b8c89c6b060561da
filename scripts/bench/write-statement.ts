import { CompiledQuery } from 'kysely'
import { systemClock } from '../../src/clock.ts'
import { prepared } from '../../src/store/postgres/database.ts'
import { EVENT_ARRAYS, EVENT_COLUMNS, eventArrays } from '../../src/store/postgres/event-arrays.ts'
import { ROLL_UP } from '../../src/store/postgres/insert-usage.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { type BenchResult, type BenchRun, type Contestant, inTurns, ratioOf } from './bench.ts'
import { CostMeter } from './cost-meter.ts'
import { enrichedOf } from './enriched.ts'
import type { BenchServers } from './servers.ts'
import { traffic } from './traffic.ts'

const BATCHES = 40
const BATCH_EVENTS = 1_000
const START_MS = Date.UTC(2026, 10, 20, 12)

/**
 * What exact rollups cost: the statement of the writer against raw rows alone, both prepared, with the same arrays, on
 * one connection. The two parts of the writer's statement that raw rows do not have are measured by leaving them out.
 */
export async function statementResult(servers: BenchServers, run: BenchRun): Promise<BenchResult> {
  const batches = batchesOf(Math.max(4, run.quick ? BATCHES / 10 : BATCHES))
  const cost = new CostMeter(servers.pids)
  const measure = async (
    name: string,
    write: (events: readonly EnrichedEvent[]) => Promise<unknown>,
  ): Promise<number> => {
    await servers.clear()
    const events = batches.length * BATCH_EVENTS
    const endCost = cost.of(name)(events)
    const startedAt = performance.now()
    for (const batch of batches) await write(batch)
    const seconds = (performance.now() - startedAt) / 1_000
    endCost()
    return events / seconds
  }
  const contestants: Contestant[] = [
    {
      name: FULL,
      run: () => {
        const writer = createUsageWriter(servers.database, systemClock)
        return measure(FULL, (events) => writer.write({ events, rejected: [] }))
      },
    },
    { name: ROLLUP, run: () => measure(ROLLUP, (events) => insertWith(servers, events, ROLLUP_STATEMENT)) },
    { name: RAW, run: () => measure(RAW, (events) => insertWith(servers, events, RAW_STATEMENT)) },
  ]
  for (const contestant of contestants) await contestant.run(0)
  run.progress('write statement')
  const figures = await inTurns(contestants, run, 'events/s')
  const goal = (name: string, measured: number) =>
    ({ name, measured, gate: 0.5, goal: 0.7, better: 'higher', unit: 'x' }) as const
  return {
    name: 'write statement',
    unit: 'events/s',
    figures,
    goals: [
      goal('raw rows and the rollup, against raw only', ratioOf(figures, ROLLUP, RAW)),
      goal('the whole statement, against raw only', ratioOf(figures, FULL, RAW)),
    ],
    notes: [
      `${batches.length} batches of ${BATCH_EVENTS} events, one connection`,
      ...contestants.map(({ name }) => cost.text(name)),
    ],
  }
}

const FULL = 'whole: ids found again, rollup, sources, keys'
const ROLLUP = 'raw rows and the rollup'
const RAW = 'raw rows only'

function batchesOf(count: number): EnrichedEvent[][] {
  const events = enrichedOf(traffic({ events: count * BATCH_EVENTS, startMs: START_MS }))
  return Array.from({ length: count }, (_, at) => events.slice(at * BATCH_EVENTS, (at + 1) * BATCH_EVENTS))
}

/** Raw rows, where repeats change nothing (what any design that keeps raw events must do), and what `also` adds. */
function statement(name: string, also: string): string {
  return prepared(
    name,
    `
    with inserted as (
      insert into usage_event (${EVENT_COLUMNS})
      select ${EVENT_COLUMNS}
      from (select *, to_timestamp(ts_ms / 1000) as ts from ${EVENT_ARRAYS}) as batch
      order by key_id collate "C", event_id collate "C"
      on conflict do nothing
      returning key_id, ts, model, country, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, status_code
    )${also}
    select count(*) from inserted`,
  )
}

const RAW_STATEMENT = statement('bench_raw', '')
const ROLLUP_STATEMENT = statement('bench_rollup', `, rolled_up as (${ROLL_UP})`)

async function insertWith(
  { database }: BenchServers,
  events: readonly EnrichedEvent[],
  text: string,
): Promise<void> {
  await database.executeQuery(CompiledQuery.raw(text, eventArrays(events)))
}
