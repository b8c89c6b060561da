import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: what Linux counts processor time in, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

/**
 * Processor seconds that a process has used so far, its children included, those that have ended as well. NaN where there
 * is no /proc. On a shared machine it moves far less than the time on the wall.
 */
export function processorSeconds(pid: number): number {
  const own = statOf(pid)
  if (own === undefined) return Number.NaN
  let ticks = own.used + own.usedByEnded
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const other = statOf(Number(name))
    if (other?.parent === pid) ticks += other.used + other.usedByEnded
  }
  return ticks / TICKS_PER_SECOND
}

interface Stat {
  readonly parent: number
  /** Ticks of the process, and of its children that it has waited for. */
  readonly used: number
  readonly usedByEnded: number
}

/** See proc_pid_stat(5). Undefined when the process is gone, or there is no /proc. */
function statOf(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The name, in parentheses, may hold anything; the fields after it are numbered from 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  return { parent: field(4), used: field(14) + field(15), usedByEnded: field(16) + field(17) }
}
