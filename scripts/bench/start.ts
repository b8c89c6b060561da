import { readFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeyhoundProcess } from '../../test/e2e/keyhound-process.ts'
import { type Bench, median } from './bench.ts'
import { makeBundle } from './program.ts'

const ASK_EVERY_MS = 5

/** What one start took. */
interface Start {
  /** From the start of the process until /readyz says yes. */
  readonly seconds: number
  /** Processor time of keyhound itself, without PostgreSQL. */
  readonly processorSeconds: number
  /** When each step had ended, in milliseconds since keyhound's own code began to be loaded. */
  readonly stepsMs: Readonly<Record<string, number>>
}

/** From the start of the process until /readyz says yes, with every role, on the database that keyhound brings. */
export const startBench: Bench = async (run) => {
  makeBundle()
  const dataDir = await mkdtemp(join(tmpdir(), 'keyhound-bench-'))
  try {
    const first = await start(dataDir)
    run.progress(`  the first start, which makes the database: ${first.seconds.toFixed(2)} s`)
    const starts: Start[] = []
    for (let round = 0; round < run.rounds; round += 1) {
      const next = await start(dataDir)
      starts.push(next)
      run.progress(`  round ${round + 1}/${run.rounds}  ${next.seconds.toFixed(2)} s`)
    }
    const figure = (name: string, of: (start: Start) => number) => {
      const rounds = starts.map(of)
      return { name, median: median(rounds), rounds }
    }
    const second = figure('second start', ({ seconds }) => seconds)
    return {
      results: [
        {
          name: 'start to ready, embedded PostgreSQL',
          unit: 's',
          figures: [
            { name: 'first start', median: first.seconds, rounds: [first.seconds] },
            second,
            figure('processor time of keyhound', ({ processorSeconds }) => processorSeconds),
          ],
          goals: [
            {
              name: 'second start',
              measured: second.median,
              gate: 1.5,
              goal: 0.8,
              better: 'lower',
              unit: 's',
            },
          ],
          notes: [`readiness is asked for every ${ASK_EVERY_MS} ms`],
        },
        {
          name: 'second start, when each step had ended',
          unit: 'ms',
          figures: Object.keys(starts[0]?.stepsMs ?? {}).map((step) =>
            figure(step, ({ stepsMs }) => stepsMs[step] ?? Number.NaN),
          ),
          goals: [],
          notes: [
            'counted from when the launcher had handed over to the program',
            'modules: all code is loaded; database: PostgreSQL accepts connections; roles: every part works',
          ],
        },
      ],
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function start(dataDir: string): Promise<Start> {
  const startedAt = performance.now()
  const daemon = new KeyhoundProcess(['start'], { KEYHOUND_DATA_DIR: dataDir })
  try {
    await daemon.ready(ASK_EVERY_MS)
    const seconds = (performance.now() - startedAt) / 1_000
    const runs = daemon.log.find((line) => line['msg'] === 'keyhound runs')
    return {
      seconds,
      processorSeconds: await processorSeconds(daemon.pid),
      stepsMs: runs?.['startMs'] as Start['stepsMs'],
    }
  } finally {
    await daemon.stop()
  }
}

/** Of a process by now, user and system; NaN where there is no /proc. */
async function processorSeconds(pid: number): Promise<number> {
  const TICKS_PER_SECOND = 100
  const [USER, SYSTEM] = [11, 12] // proc(5), after the name of the program
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[USER]) + Number(fields[SYSTEM])) / TICKS_PER_SECOND
}
