import { spawnSync } from 'node:child_process'
import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** What a PostgreSQL server writes into its cluster about itself. */
export interface Postmaster {
  readonly pid: number
  /** `starting`, `ready`, `stopping` or `standby`; empty while the file is being written. */
  readonly status: string
}

const PID_LINE = 0
const STATUS_LINE = 7 // PostgreSQL, src/include/utils/pidfile.h: LOCK_FILE_LINE_PM_STATUS

/** Reads `postmaster.pid`; undefined when there is none. A file says nothing about whether that process still lives. */
export function readPostmaster(clusterDir: string): Postmaster | undefined {
  let text: string
  try {
    text = readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const lines = text.split('\n')
  const pid = Number(lines[PID_LINE])
  return Number.isInteger(pid) && pid > 0 ? { pid, status: (lines[STATUS_LINE] ?? '').trim() } : undefined
}

/**
 * True when the process is a live PostgreSQL server of this cluster. Asking for the process alone is not enough: after a
 * crash its number may belong to a zombie nobody waits for, or, after a reboot or in a new container, to anything else.
 */
export function isServing(pid: number, clusterDir: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const state = stat.slice(stat.lastIndexOf(')') + 2).charAt(0)
    return name === 'postgres' && state !== 'Z' && state !== 'X' && !servesAnother(pid, clusterDir)
  } catch {
    return process.platform === 'linux' ? false : isServingByPs(pid)
  }
}

/** Removes the lock files of a server that is gone. Only for a file whose process `isServing` denies. */
export function removeStaleLocks(clusterDir: string, socketName: string): void {
  rmSync(join(clusterDir, 'postmaster.pid'), { force: true })
  rmSync(join(clusterDir, `${socketName}.lock`), { force: true })
  rmSync(join(clusterDir, socketName), { force: true })
}

/** PostgreSQL's working directory is its cluster. Unknown (not our user's process) counts as ours: the safe side. */
function servesAnother(pid: number, clusterDir: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) !== realpathSync(clusterDir)
  } catch {
    return false
  }
}

function isServingByPs(pid: number): boolean {
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=,comm=', '-p', String(pid)], { encoding: 'utf8' })
  return status === 0 && !stdout.trim().startsWith('Z') && stdout.includes('postgres')
}
