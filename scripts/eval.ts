import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { columns } from '../src/backtest/columns.ts'
import { countLines, measureLargeFleet, type LargeFleet } from './eval/fleet.ts'
import { criticalRow, goalRows, type Measured } from './eval/goals.ts'
import {
  backtestCommandLine,
  backtestToFile,
  openKit,
  readAlerts,
  runKit,
  type Kit,
  type KitScore,
  type LabelledAlerts,
} from './eval/kit.ts'
import { runNab } from './eval/nab.ts'
import { qualityPage, withLargeFleet, type PeerScore } from './eval/page.ts'
import { allPeers, runPeers } from './peers/run-peers.ts'

const USAGE = `npm run eval -- --kit DIR [--seeds 21,22,23,24,25] [--keys 120] [--fleet 2000 [--fleet-seed 31] [--fleet-only]] [--quick] [--out FILE]

Measures detection quality with an evaluation kit (a folder with generate.mjs, score.mjs, causality.mjs, nab/ and
rhythm/), prints the goals with what was measured, and writes ${'docs/detection-quality.md'}.
  --seeds   fleets that are generated, each alone and all together (default 21,22,23,24,25)
  --keys    keys of each fleet (default 120)
  --fleet   also one fleet of so many keys, for critical alerts (2000: 20 minutes of one core, 3 GB of disk and of memory)
  --fleet-seed   its seed (default 31)
  --fleet-only   nothing else: its figures take the place of those on the page
  --quick   small fleets of 14 days, no real rhythm, nothing written unless --out says where`

interface Options {
  readonly kit: Kit
  readonly seeds: readonly number[]
  readonly keys: number
  readonly quick: boolean
  readonly out: string | undefined
  /** Undefined: no large fleet. */
  readonly fleet: { readonly keys: number; readonly seed: number; readonly only: boolean } | undefined
}

/** Where the page is kept. */
const PAGE = join(import.meta.dirname, '../docs/detection-quality.md')

process.exitCode = await main()

async function main(): Promise<number> {
  let options: Options
  try {
    options = await readOptions()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 2
  }
  const directory = await mkdtemp(join(tmpdir(), 'keyhound-eval-'))
  try {
    await (options.fleet?.only === true ? evaluateFleet(options, directory) : evaluate(options, directory))
    return 0
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function readOptions(): Promise<Options> {
  const { values } = parseArgs({
    options: {
      kit: { type: 'string' },
      seeds: { type: 'string', default: '21,22,23,24,25' },
      keys: { type: 'string', default: '120' },
      fleet: { type: 'string' },
      'fleet-seed': { type: 'string', default: '31' },
      'fleet-only': { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  })
  if (values.kit === undefined) throw new Error('--kit is missing')
  const seeds = values.seeds.split(',').map(Number)
  const keys = Number(values.keys)
  if (seeds.some((seed) => !Number.isInteger(seed)))
    throw new Error(`--seeds: expected whole numbers, not ${values.seeds}`)
  if (!Number.isInteger(keys) || keys < 20)
    throw new Error(`--keys: expected a whole number from 20 on, not ${values.keys}`)
  const fleetKeys = values.fleet === undefined ? undefined : Number(values.fleet)
  const fleetSeed = Number(values['fleet-seed'])
  if (fleetKeys !== undefined && (!Number.isInteger(fleetKeys) || fleetKeys < 20))
    throw new Error(`--fleet: expected a whole number from 20 on, not ${values.fleet}`)
  if (!Number.isInteger(fleetSeed))
    throw new Error(`--fleet-seed: expected a whole number, not ${values['fleet-seed']}`)
  if (values['fleet-only'] && fleetKeys === undefined) throw new Error('--fleet-only needs --fleet')
  return {
    kit: await openKit(values.kit),
    seeds,
    keys,
    quick: values.quick,
    out: values.out ?? (values.quick ? undefined : PAGE),
    fleet:
      fleetKeys === undefined ? undefined : { keys: fleetKeys, seed: fleetSeed, only: values['fleet-only'] },
  }
}

/** The large fleet alone, put into the page that is there. */
async function evaluateFleet({ kit, fleet, out }: Options, directory: string): Promise<void> {
  if (fleet === undefined) return
  const measured = await largeFleetOf(kit, fleet, directory)
  const row = criticalRow({ fleets: measured.score, seeds: [], largeFleet: measured })
  printGoals([row])
  if (out === undefined) return
  await writeFile(out, withLargeFleet(await readFile(out, 'utf8'), measured, row))
  console.error(`wrote ${out}`)
}

async function largeFleetOf(
  kit: Kit,
  { keys, seed }: NonNullable<Options['fleet']>,
  directory: string,
): Promise<LargeFleet> {
  const measured = await measureLargeFleet(kit, { keys, seed, directory })
  const { false_alerts: wrong, precision_alerts: precision } = measured.score.levels.critical
  console.error(
    `fleet of ${keys} keys, seed ${seed}: ${measured.events} events in ${measured.minutes.toFixed(1)} minutes, ${wrong} critical alerts are false, precision ${precision ?? 'unknown'}`,
  )
  return measured
}

async function evaluate({ kit, seeds, keys, quick, out, fleet }: Options, directory: string): Promise<void> {
  const size = quick ? ['--preset', 'smoke'] : ['--keys', String(keys)]
  const sets: LabelledAlerts[] = []
  const peers = allPeers()
  const peerSets = peers.map((): LabelledAlerts[] => [])
  let seconds = 0
  let events = 0
  let isCausal: boolean | undefined
  for (const seed of seeds) {
    const files = await generate(kit, { seed, size, directory })
    const took = await backtestToFile(files.events, files.alerts)
    const set = { labels: await readJson(files.labels), alerts: await readAlerts(files.alerts) }
    sets.push(set)
    seconds += took
    events += await countLines(files.events)
    const score = kit.score([set])
    console.error(
      `seed ${seed}: headline ${score.headline.toFixed(3)} at ${score.headline_level ?? 'no level'}, ${set.alerts.length} alerts, backtest ${took.toFixed(0)} s`,
    )
    const raised = await runPeers(allPeers(), files.events)
    for (const [index, alerts] of raised.entries()) peerSets[index]?.push({ labels: set.labels, alerts })
    isCausal ??= await checkCausality(kit, files.events)
    await rm(files.directory, { recursive: true })
  }
  const measured: Measured = {
    fleets: kit.score(sets),
    seeds: sets.map((set) => kit.score([set])),
    rhythm: quick ? undefined : await rhythm(kit, directory),
    isCausal,
    nabStandard: undefined,
    largeFleet: fleet === undefined ? undefined : await largeFleetOf(kit, fleet, directory),
  }
  const nab = await runNab(kit, join(directory, 'nab'))
  const rows = goalRows({ ...measured, nabStandard: nab['standard'] })
  const peerScores: PeerScore[] = peers.map(({ name, rule }, index) => ({
    name,
    rule,
    score: kit.score(peerSets[index] ?? []),
  }))
  printGoals(rows)
  if (out === undefined) return
  await writeFile(
    out,
    qualityPage({
      rows,
      measured,
      nab,
      published: kit.nabPublished,
      peers: peerScores,
      run: {
        seeds,
        keys: quick ? 20 : keys,
        days: quick ? 14 : 28,
        events,
        eventsPerSecond: events / seconds,
        machine: machine(),
      },
    }),
  )
  console.error(`wrote ${out}`)
}

interface Files {
  readonly directory: string
  readonly events: string
  readonly labels: string
  readonly alerts: string
}

async function generate(
  kit: Kit,
  {
    seed,
    size,
    directory,
  }: { readonly seed: number; readonly size: readonly string[]; readonly directory: string },
): Promise<Files> {
  const out = join(directory, `seed-${seed}`)
  await runKit(kit, 'generate.mjs', ['--seed', String(seed), ...size, '--out', out])
  return filesIn(out)
}

async function rhythm(kit: Kit, directory: string): Promise<KitScore> {
  const files = filesIn(join(directory, 'rhythm'))
  await runKit(kit, 'rhythm/to-events.mjs', ['--inject', '1', '--out', files.directory])
  await backtestToFile(files.events, files.alerts)
  return kit.score([{ labels: await readJson(files.labels), alerts: await readAlerts(files.alerts) }])
}

function filesIn(directory: string): Files {
  return {
    directory,
    events: join(directory, 'events.ndjson'),
    labels: join(directory, 'labels.json'),
    alerts: join(directory, 'alerts.ndjson'),
  }
}

async function checkCausality(kit: Kit, events: string): Promise<boolean> {
  const { code, stdout } = await runKit(kit, 'causality.mjs', [
    '--events',
    events,
    '--cmd',
    backtestCommandLine(),
  ])
  console.error(stdout.trimEnd())
  return code === 0
}

async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8')) as unknown
}

function printGoals(rows: ReturnType<typeof goalRows>): void {
  const table = columns([
    ['goal', 'comparable', 'gate', 'goal', 'measured', 'seeds alone', 'reached'],
    ...rows.map((row) => [
      row.name,
      row.comparable,
      row.gate,
      row.goal,
      row.measured,
      row.spread,
      row.reached,
    ]),
  ])
  console.log(table.join('\n'))
}

function machine(): string {
  const cores = cpus()
  return `${cores.length} cores (${cores[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}`
}
