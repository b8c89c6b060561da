import { sql } from 'kysely'
import { loadConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import { inTurns, median, ratioOf, type Bench, type BenchResult, type BenchRun } from './bench.ts'
import { growHistory, writeFleet } from './fleet.ts'
import { startServers } from './servers.ts'

const NOW_MS = Date.UTC(2026, 2, 30, 14, 31, 30)
const SHARD = { index: 0, count: 1 } as const
/** Keys that the naive tick judges, one query after the other; its time is scaled to all of them. */
const NAIVE_KEYS = 200

interface Scenario {
  readonly keys: number
  readonly active: number
  readonly gateMs: number
  readonly goalMs: number
}
const SCENARIOS: readonly Scenario[] = [
  { keys: 100_000, active: 10_000, gateMs: 300, goalMs: 120 },
  { keys: 1_000_000, active: 100_000, gateMs: 4_000, goalMs: 1_500 },
]

/** Whole ticks (read, detect, write findings) over a generated database, while its history grows. */
export const tickBench: Bench = async (run) => {
  const results: BenchResult[] = []
  for (const scenario of SCENARIOS) {
    const name = `tick of ${scenario.active} active of ${scenario.keys} keys`
    if (run.only !== undefined && !name.includes(run.only)) continue
    run.progress(name)
    results.push(await measure(name, scenario, run))
  }
  return { results }
}

async function measure(name: string, scenario: Scenario, run: BenchRun): Promise<BenchResult> {
  const servers = await startServers()
  try {
    const scale = run.quick ? 0.1 : 1
    const [keys, active] = [scenario.keys * scale, scenario.active * scale]
    await writeFleet(servers.database, { keys, active, nowMs: NOW_MS })
    const engine = await engineOn(servers.database)
    const naive = await engineOn(servers.database)
    const first = await timed(() => tick(engine, { shard: SHARD, nowMs: NOW_MS }))
    const figures = await inTurns(
      [
        { name: 'tick', run: () => timed(() => tick(engine, { shard: SHARD, nowMs: NOW_MS })) },
        { name: 'naive tick, scaled', run: () => naiveTick(naive, active) },
        { name: 'reading the same rows', run: () => timed(() => readRows(servers.database)) },
      ],
      run,
      'ms',
    )
    const ours = figures[0]?.median ?? Number.NaN
    await growHistory(servers.database, { active, nowMs: NOW_MS, fromDays: 0, toDays: 7 })
    const week = await inTurns(
      [{ name: '7 days', run: () => timed(() => tick(engine, { shard: SHARD, nowMs: NOW_MS })) }],
      run,
      'ms',
    )
    await growHistory(servers.database, { active, nowMs: NOW_MS, fromDays: 7, toDays: 28 })
    const month = await inTurns(
      [{ name: '28 days', run: () => timed(() => tick(engine, { shard: SHARD, nowMs: NOW_MS })) }],
      run,
      'ms',
    )
    const growth =
      median(month.flatMap(({ rounds }) => rounds)) / median(week.flatMap(({ rounds }) => rounds))
    return {
      name,
      unit: 'ms',
      figures: [
        { name: 'first tick of a process', median: first, rounds: [first] },
        ...figures,
        ...week,
        ...month,
      ],
      goals: [
        {
          name: 'whole tick',
          measured: ours,
          gate: scenario.gateMs * scale,
          goal: scenario.goalMs * scale,
          better: 'lower',
          unit: 'ms',
        },
        {
          name: 'against the naive tick',
          measured: ratioOf(figures, 'naive tick, scaled', 'tick'),
          gate: 10,
          goal: 30,
          better: 'higher',
          unit: 'x',
        },
        {
          name: '28 days of history against 7',
          measured: growth,
          gate: 1.2,
          goal: 1.05,
          better: 'lower',
          unit: 'x',
        },
      ],
      notes: [
        'each active key: 30 minute rows and 15 address rows in the last two hours, a profile of four weeks;',
        'history beyond: one row per active key and hour',
      ],
    }
  } finally {
    await servers.stop()
  }
}

async function engineOn(database: Database): Promise<TickEngine> {
  return {
    store: createEngineStore(database),
    detectors: DETECTORS,
    ...tickSettings(await loadConfig(undefined, {}), () => NOW_MS),
    onDetectorError: ({ error }) => {
      throw error
    },
  }
}

/** The straightforward tick: one key after the other, each with its own queries. */
async function naiveTick(engine: TickEngine, active: number): Promise<number> {
  const count = Math.min(NAIVE_KEYS, active)
  const ms = await timed(async () => {
    for (let index = 0; index < count; index += 1)
      await tick(engine, { shard: { index, count: active }, nowMs: NOW_MS })
  })
  return (ms * active) / count
}

/** What a tick must read at the least, as plain rows. */
async function readRows(database: Database): Promise<void> {
  const from = new Date(NOW_MS - 2 * 3_600_000)
  await sql`select * from usage_rollup where bucket >= ${from} and bucket <= ${new Date(NOW_MS)}`.execute(
    database,
  )
  await sql`select * from usage_source where bucket >= ${from} and bucket <= ${new Date(NOW_MS)}`.execute(
    database,
  )
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
