import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { ClosingLine } from './test/harness/closing-line.ts'
import { LongestFirst } from './test/harness/longest-first.ts'

// Half of the time tests wait: for a program to start, a lease to end, a server to come back. So two for each processor,
// up to what the one database of the run can take, and no fewer than half of the processors of a large machine.
const cores = availableParallelism()
const maxWorkers = Math.max(Math.min(2 * cores, 8), Math.floor(cores / 2))

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    reporters: ['default', new ClosingLine()],
    // Processes, not threads: tests start servers, send signals and read memory figures.
    pool: 'forks',
    maxWorkers,
    // Loaded once for each worker, not for each file: a tenth of the run. No module keeps what another file could see.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    testTimeout: 40_000, // what is waited for comes in milliseconds; a machine that is busy must not fail a change
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    allowOnly: false, // a forgotten `.only` would switch the others off
  },
})
