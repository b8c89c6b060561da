import { parseArgs } from 'node:util'
import { asText, type Bench, type BenchReport, type BenchRun } from './bench/bench.ts'
import { machine } from './bench/machine.ts'

const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  ingest: async () => (await import('./bench/ingest.ts')).ingestBench,
  tick: async () => (await import('./bench/tick.ts')).tickBench,
  latency: async () => (await import('./bench/latency.ts')).latencyBench,
  backtest: async () => (await import('./bench/backtest.ts')).backtestBench,
  memory: async () => (await import('./bench/memory.ts')).memoryBench,
  start: async () => (await import('./bench/start.ts')).startBench,
}

const USAGE = `npm run bench [-- ${Object.keys(BENCHES).join('|')}] [--rounds N] [--only TEXT] [--events N] [--quick] [--json]

Measures keyhound against a naive way to do the same and against the limit of the machine, in turns, on servers of its
own. Without a name every bench runs. docs/performance.md says how to read what comes out.
  --rounds  turns of each bench (default 5)
  --only    parts of a bench whose name holds this text
  --events  how many events the memory bench works through (5000000 for the full run)
  --quick   a tenth of the work: shows that the bench runs, the figures mean little
  --json    one JSON object per bench on standard output; progress goes to standard error`

process.exitCode = await main()

async function main(): Promise<number> {
  let order: { readonly names: readonly string[]; readonly run: BenchRun; readonly json: boolean }
  try {
    order = readOrder()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 2
  }
  const about = machine()
  for (const name of order.names) {
    const bench = await BENCHES[name]?.()
    if (bench === undefined) continue
    const report: BenchReport = { bench: name, machine: about, ...(await bench(order.run)) }
    console.log(order.json ? JSON.stringify(report) : asText(report))
  }
  return 0
}

function readOrder() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      only: { type: 'string' },
      events: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: ${values.rounds} is not a number above 0`)
  const events = values.events === undefined ? undefined : Number(values.events)
  if (events !== undefined && (!Number.isInteger(events) || events < 1))
    throw new Error(`--events: ${values.events} is not a number above 0`)
  const unknown = positionals.find((name) => BENCHES[name] === undefined)
  if (unknown !== undefined) throw new Error(`There is no bench "${unknown}".`)
  const run: BenchRun = {
    rounds,
    quick: values.quick,
    only: values.only,
    events,
    progress: (line) => process.stderr.write(`${line}\n`),
  }
  return { names: positionals.length > 0 ? positionals : Object.keys(BENCHES), run, json: values.json }
}
