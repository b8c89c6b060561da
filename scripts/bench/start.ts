import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeyhoundProcess } from '../../test/e2e/keyhound-process.ts'
import { type Bench, inTurns } from './bench.ts'

/** From the start of the process until /readyz says yes, with every role, on the database that keyhound brings. */
export const startBench: Bench = async (run) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'keyhound-bench-'))
  try {
    const first = await secondsToReady(dataDir)
    run.progress(`  the first start, which makes the database: ${first.toFixed(2)} s`)
    const figures = await inTurns([{ name: 'second start', run: () => secondsToReady(dataDir) }], run, 's')
    const measured = figures[0]?.median ?? Number.NaN
    return {
      results: [
        {
          name: 'start to ready, embedded PostgreSQL',
          unit: 's',
          figures: [{ name: 'first start', median: first, rounds: [first] }, ...figures],
          goals: [{ name: 'second start', measured, gate: 1.5, goal: 0.8, better: 'lower', unit: 's' }],
          notes: ['readiness is asked for every 50 ms'],
        },
      ],
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function secondsToReady(dataDir: string): Promise<number> {
  const startedAt = performance.now()
  const daemon = new KeyhoundProcess(['start'], { KEYHOUND_DATA_DIR: dataDir })
  await daemon.ready()
  const seconds = (performance.now() - startedAt) / 1_000
  await daemon.stop()
  return seconds
}
