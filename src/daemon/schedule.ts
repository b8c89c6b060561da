import { schedule, type Logger as CronLogger } from 'node-cron'
import type { Clock } from '../clock.ts'
import type { Shard } from '../store/engine-store.ts'

/** What a tick job carries: which part of the keys, and the slot of time it was meant for. */
export interface TickJob {
  readonly shard: Shard
  readonly slotMs: number
}

export interface Schedule {
  stop(): Promise<void>
}

/** The slot of time that an instant lies in: the same in every replica, whatever second its process woke up in. */
export function slotOf(nowMs: number, tickMs: number): number {
  return Math.floor(nowMs / tickMs) * tickMs
}

/**
 * Jobs of one slot. Their ids follow from slot and shard, so that the queue drops what another replica has added, and
 * no leader is needed. Ids must not hold a colon: BullMQ reserves it.
 */
export function tickJobs(
  slotMs: number,
  shards: number,
): { readonly jobId: string; readonly data: TickJob }[] {
  return Array.from({ length: shards }, (_, index) => ({
    jobId: `tick-${slotMs}-${index}of${shards}`,
    data: { shard: { index, count: shards }, slotMs },
  }))
}

/**
 * Wakes every second and adds the jobs of a slot as soon as it begins. A second that was missed (a busy process, a
 * laptop that slept) is no slot missed: the first wake-up within a slot adds its jobs. `settings` is read at every
 * wake-up, so that a reloaded configuration holds from the next slot on.
 */
export function startSchedule(deps: {
  readonly clock: Clock
  readonly settings: () => { readonly tickMs: number; readonly shards: number }
  readonly addJobs: (jobs: ReturnType<typeof tickJobs>) => Promise<void>
  readonly onError: (error: unknown) => void
}): Schedule {
  let lastSlotMs = Number.NEGATIVE_INFINITY
  const task = schedule(
    '* * * * * *',
    async () => {
      const { tickMs, shards } = deps.settings()
      const slotMs = slotOf(deps.clock.nowMs(), tickMs)
      if (slotMs === lastSlotMs) return
      try {
        await deps.addJobs(tickJobs(slotMs, shards))
        lastSlotMs = slotMs
      } catch (error) {
        // The next second tries again; the job ids make that harmless.
        deps.onError(error)
      }
    },
    { name: 'tick', noOverlap: true, suppressMissedWarning: true, logger: SILENT },
  )
  return {
    stop: async () => {
      await task.destroy()
    },
  }
}

/** node-cron prints its own warnings to the console; what matters is reported through `onError`. */
export const SILENT: CronLogger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debug: () => undefined,
}
