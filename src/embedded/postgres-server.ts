import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { asAccount, type PostgresAccount } from './postgres-account.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { isServing, readPostmaster, removeStaleLocks } from './postmaster-file.ts'

export type Durability = 'full' | 'none'

export const PORT = 5432 // only names the socket
export const SOCKET_NAME = `.s.PGSQL.${PORT}`

const START_TIMEOUT_MS = 60_000 // recovery after a crash replays the log
const SMART_STOP_MS = 3_000
const FAST_STOP_MS = 20_000
const POLL_MS = 5

const SETTINGS = [
  'listen_addresses=',
  'unix_socket_directories=.',
  'log_min_messages=warning',
  'timezone=UTC',
  'jit=off',
]
const SETTINGS_FOR: Record<Durability, readonly string[]> = {
  full: [
    // One file per weekday, overwritten a week later: the log never fills the disk.
    'logging_collector=on',
    'log_directory=log',
    'log_filename=postgresql-%a.log',
    'log_truncate_on_rotation=on',
    'log_rotation_size=0',
  ],
  none: [
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'autovacuum=off',
    'wal_level=minimal',
    'max_wal_senders=0',
    'shared_buffers=64MB',
    'max_connections=400', // test files in parallel, several pools each
  ],
}

export interface PostgresServerOptions {
  readonly clusterDir: string
  readonly account: PostgresAccount
  readonly binaries: PostgresBinaries
  readonly durability: Durability
  readonly probe: () => Promise<'yes' | 'wait' | 'no'>
}

/** The server process of one cluster: ours, or one that runs already. */
export class PostgresServer {
  readonly #options: PostgresServerOptions
  #child: ChildProcess | undefined
  #pid = 0

  constructor(options: PostgresServerOptions) {
    this.#options = options
  }

  get pid(): number {
    return this.#pid
  }

  /**
   * Makes sure that a server runs and accepts connections.
   * @returns true when it ran already, false when this call started it.
   */
  async acquire(): Promise<boolean> {
    const { clusterDir, probe } = this.#options
    const deadline = performance.now() + START_TIMEOUT_MS
    let failure = 'another process keeps its lock file'
    while (performance.now() < deadline) {
      const postmaster = readPostmaster(clusterDir)
      if (postmaster && isServing(postmaster.pid, clusterDir)) {
        if ((await probe()) === 'yes') {
          this.#pid = postmaster.pid
          return true
        }
        failure = `its process ${postmaster.pid} runs but accepts no connection`
        await delay(POLL_MS) // it is starting, recovering or ending
        continue
      }
      // Without a pause between reading and removing: a server that starts meanwhile writes its own file.
      if (postmaster && readPostmaster(clusterDir)?.pid === postmaster.pid)
        removeStaleLocks(clusterDir, SOCKET_NAME)
      const outcome = await this.#spawn(deadline)
      if (outcome.kind === 'ready') return false
      failure = outcome.log
      if (!outcome.retry) break
      await delay(POLL_MS)
    }
    throw new Error(`The embedded PostgreSQL in ${clusterDir} does not start: ${failure}`)
  }

  /** True when a server of this cluster runs, whoever started it, whether it answers or not. */
  isServing(): boolean {
    const postmaster = readPostmaster(this.#options.clusterDir)
    return postmaster !== undefined && isServing(postmaster.pid, this.#options.clusterDir)
  }

  /** Ends the server, whoever started it: smart (waits for clients) at first, fast after 3 s. */
  async stop(): Promise<void> {
    const { clusterDir } = this.#options
    const pid = this.#pid
    const running = () => (this.#child ? isRunning(this.#child) : isServing(pid, clusterDir))
    const steps = [
      { signal: 'SIGTERM', waitMs: SMART_STOP_MS },
      { signal: 'SIGINT', waitMs: FAST_STOP_MS },
      { signal: 'SIGQUIT', waitMs: FAST_STOP_MS }, // no clean end: the next start replays the log
    ] as const
    for (const { signal, waitMs } of steps) {
      if (pid === 0 || !running()) return
      kill(pid, signal)
      const deadline = performance.now() + waitMs
      while (running() && performance.now() < deadline) await delay(POLL_MS)
    }
    if (running()) throw new Error(`The embedded PostgreSQL in ${clusterDir} (process ${pid}) does not stop.`)
  }

  async #spawn(
    deadline: number,
  ): Promise<{ kind: 'ready' } | { kind: 'failed'; log: string; retry: boolean }> {
    const { clusterDir, account } = this.#options
    // Beside the cluster, not in it: the server's user, who may be another, could lay a link there for us to follow.
    const logPath = `${clusterDir}-startup.log`
    const log = openSync(logPath, 'w', 0o644)
    const { command, args, options } = this.#command()
    // A session of its own: Ctrl-C in a terminal reaches keyhound only, which then ends the server last.
    const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    child.unref()
    let spawnError: Error | undefined
    child.once('error', (error) => (spawnError = error))
    while (!spawnError && isRunning(child) && performance.now() < deadline) {
      const postmaster = readPostmaster(clusterDir)
      // Our own number in the file: a file left by a server that was killed says `ready` as well.
      if (postmaster?.pid === child.pid && postmaster?.status === 'ready') {
        this.#child = child
        this.#pid = postmaster.pid
        return { kind: 'ready' }
      }
      await delay(POLL_MS)
    }
    if (child.pid && isRunning(child)) kill(child.pid, 'SIGQUIT')
    const text =
      spawnError?.message ?? (lastLines(logPath) || `it did not become ready as user ${account.name}`)
    // Another instance was faster, or children of a killed server still hold its shared memory for a moment.
    const retry = /lock file ".*" already exists|pre-existing shared memory block/.test(text)
    return { kind: 'failed', log: text, retry }
  }

  #command() {
    const { clusterDir, account, binaries, durability } = this.#options
    const settings = [...SETTINGS, ...SETTINGS_FOR[durability]].flatMap((setting) => ['-c', setting])
    const args = ['-D', clusterDir, '-p', String(PORT), ...settings]
    const options = asAccount(account)
    if (!canSetParentDeathSignal()) return { command: binaries.postgres, args, options }
    // setpriv replaces itself by postgres, so the process id stays. It changes the user itself, because the kernel
    // forgets the parent-death signal when a process changes its user.
    const user = account.foreign
      ? ['--reuid', String(account.uid), '--regid', String(account.gid), '--clear-groups']
      : []
    return {
      command: 'setpriv',
      args: [...user, '--pdeathsig', 'INT', binaries.postgres, ...args],
      options: { cwd: options.cwd, env: options.env },
    }
  }
}

/** Linux only: lets the kernel stop the server when keyhound dies, kill -9 included. Elsewhere the next start reuses it. */
function canSetParentDeathSignal(): boolean {
  return process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'INT', 'true']).status === 0
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function lastLines(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-5).join('\n')
}
