import { sql } from 'kysely'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { tickSettings } from '../../src/config/tick-settings.ts'
import { LEARN_PER_TICK } from '../../src/daemon/parts/detect.ts'
import { LEARN_DELAY_MS } from '../../src/detect/profile.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { judge } from '../../src/engine/judge.ts'
import { tick, type TickEngine } from '../../src/engine/tick.ts'
import type { Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { keyStandings } from '../../src/store/postgres/key-standing.ts'
import { recentUsageOf } from '../../src/store/postgres/recent-usage.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { median, type Bench, type BenchResult, type BenchRun, type Figure, type Goal } from './bench.ts'
import { closeHour, growHistory, useKeys, writeFleet } from './fleet.ts'
import { startServers } from './servers.ts'

const SHARD = { index: 0, count: 1 } as const
const TICK_MS = 10 * SECOND_MS
/** A key that is used once in five minutes is used once in so many ticks. */
const SPARSE = (5 * MINUTE_MS) / TICK_MS
/** Ticks that learn are timed; a large fleet needs hundreds of them. */
const LEARNING_TICKS = 40
/** Keys that the naive tick judges, one query after the other; its time is scaled to all that are to be judged. */
const NAIVE_KEYS = 100

interface Scenario {
  readonly name: string
  readonly keys: number
  readonly active: number
  readonly history: { readonly days: number; readonly hoursPerDay: number }
  readonly gateMs: number
  readonly goalMs: number
}
const SCENARIOS: readonly Scenario[] = [
  {
    name: 'tick of 10,000 active of 100,000 keys',
    keys: 100_000,
    active: 10_000,
    history: { days: 28, hoursPerDay: 24 },
    gateMs: 300,
    goalMs: 120,
  },
  {
    name: 'tick of 100,000 active of 1,000,000 keys',
    keys: 1_000_000,
    active: 100_000,
    // One hour of each day: a whole month of such a fleet has 67 million rows, of which a tick reads none.
    history: { days: 28, hoursPerDay: 1 },
    gateMs: 4_000,
    goalMs: 1_500,
  },
]
const HISTORY = 'tick while history grows from 7 to 90 days'

/** Whole ticks (read, detect, write findings) of a fleet in use, every ten seconds, with new usage before each. */
export const tickBench: Bench = async (run) => {
  const results: BenchResult[] = []
  for (const scenario of SCENARIOS) {
    if (run.only !== undefined && !scenario.name.includes(run.only)) continue
    run.progress(scenario.name)
    results.push(...(await measure(scenario, run)))
  }
  if (run.only === undefined || HISTORY.includes(run.only)) {
    run.progress(HISTORY)
    results.push(await measureHistory(run))
  }
  return { results }
}

async function measure(scenario: Scenario, run: BenchRun): Promise<BenchResult[]> {
  const { gateMs, goalMs, history } = scenario
  const scale = run.quick ? 0.1 : 1
  const [keys, active] = [scenario.keys * scale, scenario.active * scale]
  return onFleet({ keys, active, history, run }, async (fleet) => {
    const before = memoryInUse()
    const engine = await engineOn(fleet.database, fleet)
    const first = await fleet.timed(engine)
    const memory = memoryInUse() - before
    await fleet.timed(engine)
    const { sparse, dense, naive } = await inUse(fleet, engine, run)
    const { full, learning } = await longTicks(fleet, engine, run)
    const goals = (name: string, figure: Figure): Goal[] => [
      {
        name,
        measured: figure.median,
        gate: gateMs * scale,
        goal: goalMs * scale,
        better: 'lower',
        unit: 'ms',
      },
    ]
    const ratios = naive.map((ms, round) => ms / (sparse.wall[round] ?? Number.NaN))
    return [
      {
        name: `${scenario.name}, each used once in five minutes`,
        unit: 'ms',
        figures: [
          figureOf('whole tick', sparse.wall),
          figureOf('of it this process was busy', sparse.busy),
          figureOf('naive tick of the same keys, scaled', naive),
        ],
        goals: [
          ...goals('whole tick', figureOf('', sparse.wall)),
          {
            name: 'against the naive tick',
            measured: median(ratios),
            gate: 3,
            goal: 10,
            better: 'higher',
            unit: 'x',
          },
        ],
        notes: [`${Math.round(active / SPARSE)} keys are used before each tick and judged by it`],
      },
      {
        name: `${scenario.name}, each used before every tick`,
        unit: 'ms',
        figures: [figureOf('whole tick', dense.wall), figureOf('of it this process was busy', dense.busy)],
        goals: goals('whole tick', figureOf('', dense.wall)),
        notes: [
          `rows of all ${active} active keys are read by every tick; those that are calm, all of them here, are left out`,
        ],
      },
      {
        name: `${scenario.name}, the longest ticks`,
        unit: 'ms',
        figures: [
          figureOf('first tick of a process', [first.wall]),
          figureOf('tick that judges every active key, as the first of an hour', full.wall),
          figureOf('of it this process was busy', full.busy),
          figureOf('tick that learns a part of the hour that closed', learning.wall),
          figureOf('of it this process was busy', learning.busy),
        ],
        goals: [],
        notes: [
          `the first ${learning.wall.length} ticks that learn an hour, ${LEARN_PER_TICK} keys each, more after five minutes`,
        ],
      },
      {
        name: `${scenario.name}, memory`,
        unit: 'MB',
        figures: [
          figureOf('kept after the first tick, for 10,000 active keys', [(memory / active) * 10_000]),
        ],
        goals: [],
        notes: ['30 minute rows, 15 address rows and a profile of four weeks for each key'],
      },
    ]
  })
}

/** A fleet in a database of its own, and its clock. */
interface BenchFleet {
  readonly database: Database
  readonly active: number
  nowMs: number
  /** Lets time pass, and one of `parts` parts of the keys be used; the tick then is timed. */
  timed(engine: TickEngine, use?: { readonly parts: number }): Promise<Timed>
}

interface Timed {
  readonly wall: number
  readonly busy: number
}

async function onFleet<Result>(
  {
    keys,
    active,
    history,
    run,
  }: {
    readonly keys: number
    readonly active: number
    readonly history: Scenario['history']
    readonly run: BenchRun
  },
  work: (fleet: BenchFleet) => Promise<Result>,
): Promise<Result> {
  const servers = await startServers()
  try {
    const { database } = servers
    const startedMs = performance.now()
    let part = 0
    const fleet: BenchFleet = {
      database,
      active,
      nowMs: systemClock.nowMs(),
      async timed(engine, use) {
        // Never behind the clock of the database: what is stored here without ingest is not noted as late.
        fleet.nowMs = Math.max(fleet.nowMs + TICK_MS, systemClock.nowMs())
        const { nowMs } = fleet
        if (use !== undefined) await useKeys(database, { active, nowMs, part: (part += 1), parts: use.parts })
        return timed(() => tick(engine, { shard: SHARD, nowMs }))
      },
    }
    await writeFleet(database, { keys, active, nowMs: fleet.nowMs })
    const { days, hoursPerDay } = history
    await growHistory(database, fleet, { fromDays: 0, toDays: days, hoursPerDay })
    run.progress(`  loaded in ${Math.round((performance.now() - startedMs) / 1_000)} s`)
    return await work(fleet)
  } finally {
    await servers.stop()
  }
}

/** Ticks with few keys in use, with all of them, and the naive way, in turns. */
async function inUse(
  fleet: BenchFleet,
  engine: TickEngine,
  { rounds, progress }: BenchRun,
): Promise<{ sparse: Times; dense: Times; naive: number[] }> {
  const [sparse, dense, naive] = [new Times(), new Times(), [] as number[]]
  for (let warm = 0; warm < 3; warm += 1) await fleet.timed(engine, { parts: SPARSE })
  // A fifth of the keys that a tick judges are asked whether they are calm: after so many ticks all have been.
  for (let warm = 0; warm < 15; warm += 1) await fleet.timed(engine, { parts: 1 })
  for (let round = 0; round < rounds; round += 1) {
    sparse.add(await fleet.timed(engine, { parts: SPARSE }))
    naive.push(await naiveTick(fleet, engine))
    // Ten seconds apart, which the naive tick is not.
    for (let more = 0; more < 3; more += 1) dense.add(await fleet.timed(engine, { parts: 1 }))
    progress(
      `  round ${round + 1}/${rounds}  few keys: ${shown(sparse)} ms, naive: ${Math.round(naive.at(-1) ?? 0)} ms, all keys: ${shown(dense)} ms`,
    )
  }
  return { sparse, dense, naive }
}

/** Ticks that judge every active key, as the first of an hour does, and those that learn an hour. */
async function longTicks(
  fleet: BenchFleet,
  engine: TickEngine,
  { rounds, progress }: BenchRun,
): Promise<{ full: Times; learning: Times }> {
  const [full, learning] = [new Times(), new Times()]
  const { settingsFor } = engine
  await useKeys(fleet.database, { ...fleet, part: 0, parts: 1 })
  await fleet.timed(engine)
  for (let round = 0; round < rounds; round += 1) {
    // Other settings have the same effect as another hour.
    full.add(await fleet.timed({ ...engine, settingsFor: (key) => settingsFor(key) }, { parts: SPARSE }))
    progress(`  every key judged: ${shown(full)} ms`)
  }
  // Five minutes into the next hour, when the one before is learnt.
  fleet.nowMs = Math.ceil(fleet.nowMs / HOUR_MS) * HOUR_MS + LEARN_DELAY_MS
  await fleet.timed(engine, { parts: 1 })
  await closeHour(fleet.database, fleet)
  for (let left = fleet.active; left > 0 && learning.wall.length < LEARNING_TICKS;) {
    learning.add(await fleet.timed(engine, { parts: SPARSE }))
    left = await hoursToLearn(fleet.database)
  }
  progress(`  ${learning.wall.length} ticks that learn: ${Math.round(median(learning.wall))} ms each`)
  return { full, learning }
}

async function hoursToLearn(database: Database): Promise<number> {
  const { rows } = await sql<{ hours: number }>`select count(*) as hours from unlearnt_hour`.execute(database)
  return rows[0]?.hours ?? 0
}

/** A fifth of the smaller fleet, with all keys in use: what may grow is seen best, and 90 days are written in a minute. */
async function measureHistory(run: BenchRun): Promise<BenchResult> {
  const active = run.quick ? 200 : 2_000
  const stages = [7, 28, 90]
  const history = { days: 0, hoursPerDay: 24 }
  return onFleet({ keys: 10 * active, active, history, run }, async (fleet) => {
    const engine = await engineOn(fleet.database, fleet)
    const times: Times[] = []
    let fromDays = 0
    for (const toDays of stages) {
      await growHistory(fleet.database, fleet, { fromDays, toDays })
      fromDays = toDays
      for (let warm = 0; warm < 3; warm += 1) await fleet.timed(engine, { parts: 1 })
      const stage = new Times()
      for (let round = 0; round < 2 * run.rounds; round += 1)
        stage.add(await fleet.timed(engine, { parts: 1 }))
      times.push(stage)
      run.progress(`  ${toDays} days: ${Math.round(median(stage.wall))} ms`)
    }
    const growth = (stage: Times | undefined): number =>
      median(stage?.wall ?? []) / median(times[0]?.wall ?? [])
    return {
      name: HISTORY,
      unit: 'ms',
      figures: times.map(({ wall }, index) => figureOf(`${stages[index]} days`, wall)),
      goals: [
        {
          name: '28 days against 7',
          measured: growth(times[1]),
          gate: 1.2,
          goal: 1.05,
          better: 'lower',
          unit: 'x',
        },
        {
          name: '90 days against 7',
          measured: growth(times[2]),
          gate: 1.2,
          goal: 1.05,
          better: 'lower',
          unit: 'x',
        },
      ],
      notes: [
        `${active} active of ${10 * active} keys, each used before every tick; a row per active key and hour of the past`,
      ],
    }
  })
}

async function engineOn(database: Database, clock: { readonly nowMs: number }): Promise<TickEngine> {
  return {
    store: createEngineStore(database, { settleMs: 0 }),
    detectors: DETECTORS,
    standings: (nowMs) => keyStandings(database, nowMs),
    learnPerTick: LEARN_PER_TICK,
    ...tickSettings(await loadConfig(undefined, {}), () => clock.nowMs),
    onDetectorError: ({ error }) => {
      throw error
    },
  }
}

/** The straightforward tick: of each key that was used, one after the other, its usage and its profile are read and judged. */
async function naiveTick({ database, active, nowMs }: BenchFleet, engine: TickEngine): Promise<number> {
  const store = createEngineStore(database)
  const toJudge = Math.round(active / SPARSE)
  const count = Math.min(NAIVE_KEYS, toJudge)
  const { wall } = await timed(async () => {
    for (let n = 1; n <= count; n += 1) {
      const usage = await recentUsageOf(
        database,
        { keyId: `key-${n}`, teamId: undefined, environment: undefined },
        nowMs,
      )
      const profile = (await store.profiles([usage.key.keyId])).get(usage.key.keyId)
      if (profile !== undefined) judge(engine, { usage, profile, nowMs })
    }
  })
  return (wall * toJudge) / count
}

/** The times of rounds, in milliseconds. */
class Times {
  readonly wall: number[] = []
  readonly busy: number[] = []

  add({ wall, busy }: Timed): void {
    this.wall.push(wall)
    this.busy.push(busy)
  }
}

async function timed(work: () => Promise<unknown>): Promise<Timed> {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  await work()
  const wall = performance.now() - startedMs
  const { user, system } = process.cpuUsage(cpu)
  return { wall, busy: (user + system) / 1_000 }
}

function figureOf(name: string, rounds: readonly number[]): Figure {
  return { name, median: median(rounds), rounds }
}

function shown({ wall }: Times): string {
  return String(Math.round(wall.at(-1) ?? Number.NaN))
}

/** In MB, after what nobody needs was cleared. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}
