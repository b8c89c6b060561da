import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { columns } from '../src/backtest/columns.ts'
import { goalRows, type Measured } from './eval/goals.ts'
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
import { qualityPage, type PeerScore } from './eval/page.ts'
import { allPeers, runPeers } from './peers/run-peers.ts'

const USAGE = `npm run eval -- --kit DIR [--seeds 21,22,23,24,25] [--keys 120] [--quick] [--out FILE]

Measures detection quality with an evaluation kit (a folder with generate.mjs, score.mjs, causality.mjs, nab/ and
rhythm/), prints the goals with what was measured, and writes ${'docs/detection-quality.md'}.
  --seeds   fleets that are generated, each alone and all together (default 21,22,23,24,25)
  --keys    keys of each fleet (default 120)
  --quick   small fleets of 14 days, no real rhythm, nothing written unless --out says where`

interface Options {
  readonly kit: Kit
  readonly seeds: readonly number[]
  readonly keys: number
  readonly quick: boolean
  readonly out: string | undefined
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
    await evaluate(options, directory)
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
  return {
    kit: await openKit(values.kit),
    seeds,
    keys,
    quick: values.quick,
    out: values.out ?? (values.quick ? undefined : PAGE),
  }
}

async function evaluate({ kit, seeds, keys, quick, out }: Options, directory: string): Promise<void> {
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

async function countLines(file: string): Promise<number> {
  const bytes = await readFile(file)
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1
  return lines
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
