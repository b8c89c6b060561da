import { createTask } from 'node-cron'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import type { DigestSettings } from './settings.ts'

/** A digest that was due while no replica ran is made up for within this time, and not later. */
const LATE_MAX_MS = DAY_MS
const LOOK_MS = 20 * SECOND_MS

export interface DigestScheduleParts extends LoopStart {
  readonly settings: () => DigestSettings
  /** When the newest digest of all replicas was due; undefined before the first. */
  readonly lastTurnMs: () => Promise<number | undefined>
  /** Sends the digest that was due at the instant, unless another replica has; false while another is at it. */
  readonly send: (dueMs: number) => Promise<boolean>
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Sends the digest when its schedule says so, also when keyhound was down at that minute. It looks at the clock again
 * and again instead of waiting for a timer, so that a laptop that slept and a process that was killed miss none.
 */
export function startDigestSchedule(parts: DigestScheduleParts): PollLoop {
  const { clock, log } = parts
  const startedMs = clock.nowMs()
  let checkedMs: number | undefined
  return startPolling({
    begins: parts.begins,
    turn: async () => {
      const { channels, schedule, timezone } = parts.settings()
      const nowMs = clock.nowMs()
      if (channels.length === 0) return LOOK_MS
      // Before the first digest of all there is nothing to make up for.
      const sinceMs = checkedMs ?? (await parts.lastTurnMs()) ?? startedMs - MINUTE_MS
      const dueMs = latestDueMs({ schedule, timezone }, { afterMs: sinceMs, nowMs })
      // Another replica that is at it may die: it is looked at again.
      if (dueMs === undefined || (await parts.send(dueMs))) checkedMs = nowMs
      return LOOK_MS
    },
    onError: (error) => log.warn({ err: error }, 'the digest could not be made; trying again'),
  })
}

/** The latest minute after `afterMs`, up to `nowMs` and at most LATE_MAX_MS before it, at which the schedule is due. */
export function latestDueMs(
  { schedule, timezone }: Pick<DigestSettings, 'schedule' | 'timezone'>,
  { afterMs, nowMs }: { readonly afterMs: number; readonly nowMs: number },
): number | undefined {
  // Never started: only its reading of the schedule is used.
  const task = createTask(schedule, () => undefined, { timezone })
  try {
    const firstMs = Math.max(afterMs, nowMs - LATE_MAX_MS)
    for (let ms = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS; ms > firstMs; ms -= MINUTE_MS) {
      if (task.match(new Date(ms))) return ms
    }
    return undefined
  } finally {
    void task.destroy()
  }
}
