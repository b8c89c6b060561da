import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { asAccount, firstClosedDirectory, mayAccess, type PostgresAccount } from './postgres-account.ts'
import { type PostgresBinaries, renameOrDiscard } from './postgres-binaries.ts'

export const SUPERUSER = 'keyhound'

/** Clusters this process is making right now: not to be swept by a second start in the same process. */
const beingMade = new Set<string>()

/**
 * Creates the data directory and makes sure the account can enter it. Directories made here are 0700 for a user, and
 * enterable (not listable) when the server runs as somebody else.
 */
export function prepareDataDirectory(dataDir: string, account: PostgresAccount): void {
  try {
    createDirectories(dataDir, account.foreign ? 0o711 : 0o700)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `The data directory ${dataDir} cannot be made: ${reason}. Set KEYHOUND_DATA_DIR to a directory that can.`,
      { cause },
    )
  }
  if (!account.foreign) return
  // mkdtemp makes 0700; the directory is keyhound's own, so opening it for passing through is ours to do.
  if (!mayAccess(account, 'x', dataDir)) chmodSync(dataDir, statSync(dataDir).mode | 0o011)
  const closed = firstClosedDirectory(account, dataDir)
  if (closed) {
    throw new Error(
      `PostgreSQL refuses to run as root and therefore runs as user ${account.name}, who may not enter ${closed}. ` +
        'Set KEYHOUND_DATA_DIR to a directory that everybody may enter (default: /var/lib/keyhound), ' +
        'or start keyhound as another user.',
    )
  }
}

/** Makes a new cluster unless there is one. Either the whole cluster appears or nothing, also after kill -9. */
export async function createCluster(options: {
  readonly clusterDir: string
  readonly account: PostgresAccount
  readonly binaries: PostgresBinaries
  readonly sync: boolean
}): Promise<void> {
  const { clusterDir, account, binaries, sync } = options
  removeUnfinished(clusterDir)
  if (hasCluster(clusterDir)) return
  const unfinished = `${clusterDir}.init-${process.pid}-${randomBytes(4).toString('hex')}`
  beingMade.add(unfinished)
  mkdirSync(unfinished, { mode: 0o700 })
  if (account.foreign) chownSync(unfinished, account.uid, account.gid)
  const args = [
    '-D',
    unfinished,
    '-A',
    'trust',
    '-U',
    SUPERUSER,
    '--locale=C',
    '-E',
    'UTF8',
    ...(sync ? [] : ['-N']),
  ]
  const { code, output } = await run(binaries.initdb, args, account)
  beingMade.delete(unfinished)
  if (code !== 0) {
    rmSync(unfinished, { recursive: true, force: true })
    throw new Error(
      `PostgreSQL could not create a database in ${clusterDir}: initdb ended with ${code}:\n${output.trim()}`,
    )
  }
  renameOrDiscard(unfinished, clusterDir)
}

/** True when there is a whole cluster: it appears under its name only when it is. */
export function hasCluster(clusterDir: string): boolean {
  return existsSync(join(clusterDir, 'PG_VERSION'))
}

function createDirectories(directory: string, mode: number): void {
  if (existsSync(directory)) return
  createDirectories(dirname(directory), mode)
  mkdirSync(directory, { recursive: true })
  chmodSync(directory, mode) // whatever the umask is
}

/** Sweeps what processes left that died while they made a cluster. */
function removeUnfinished(clusterDir: string): void {
  const parent = dirname(clusterDir)
  const prefix = `${clusterDir.slice(parent.length + 1)}.init-`
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue
    const path = join(parent, name)
    const maker = Number.parseInt(name.slice(prefix.length), 10)
    // In a container the process before us often had our number.
    if (maker === process.pid ? beingMade.has(path) : isAlive(maker)) continue
    rmSync(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function run(command: string, args: readonly string[], account: PostgresAccount) {
  const child = spawn(command, args, {
    ...asAccount(account),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal ?? 'no exit code'))
  })
  return { code, output }
}
