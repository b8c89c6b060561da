import type { Clock } from '../clock.ts'
import { tick, type TickEngine, type TickReport } from '../engine/tick.ts'
import type { Queues } from '../queue/queues.ts'
import { TICK_QUEUE } from '../queue/queues.ts'
import type { Shard } from '../store/engine-store.ts'
import { slotOf, startSchedule, type TickJob } from './schedule.ts'

export interface Ticking {
  readonly queues: Queues
  readonly clock: Clock
  readonly settings: () => { readonly tickMs: number; readonly shards: number }
  readonly engine: () => TickEngine
  /** True for the first who asks for this shard and slot: every other replica, and every late job, is told false. */
  readonly claim: (shard: Shard, slotMs: number) => Promise<boolean>
  /** A tick of the shard, that began at `startedMs`, has run to its end. */
  readonly onTick: (report: TickReport, tick: { shard: Shard; startedMs: number; durationMs: number }) => void
  readonly onError: (error: unknown) => void
}

// Ids protect from double runs for as long as jobs are kept; `claim` protects for ever.
const KEEP = { count: 1_000, ageSeconds: 600 }
const SHARDS_AT_ONCE = 2

/** Adds the tick jobs of every slot, and runs those that the queue gives to this replica. */
export function runTicks(parts: Ticking): { stop(): Promise<void> } {
  const { queues, clock } = parts
  const schedule = startSchedule({
    clock,
    settings: parts.settings,
    addJobs: async (jobs) => {
      await queues.queue(TICK_QUEUE).add(jobs.map(({ jobId, data }) => ({ name: 'tick', id: jobId, data })))
    },
    onError: parts.onError,
  })
  const worker = queues.work(
    TICK_QUEUE,
    async (job) => {
      await runJob(parts, job.data as TickJob)
    },
    { concurrency: SHARDS_AT_ONCE, keepCompleted: KEEP, keepFailed: KEEP },
  )
  return {
    stop: async () => {
      await schedule.stop()
      await worker.close()
    },
  }
}

/** A job that waited (nobody was there to run it) runs for the slot it is now: the past is not judged twice. */
async function runJob(parts: Ticking, { shard }: TickJob): Promise<void> {
  const startedMs = parts.clock.nowMs()
  if (!(await parts.claim(shard, slotOf(startedMs, parts.settings().tickMs)))) return
  try {
    const report = await tick(parts.engine(), { shard, nowMs: startedMs })
    parts.onTick(report, { shard, startedMs, durationMs: parts.clock.nowMs() - startedMs })
  } catch (error) {
    // Not thrown on: a job that is tried again later would find its slot claimed. The next slot comes soon enough.
    parts.onError(error)
  }
}
