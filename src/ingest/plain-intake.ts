import type { Job } from '../queue/queues.ts'
import { BATCH_EVENTS, createBatcher } from './batcher.ts'
import { type PrepareParts, prepareJob } from './prepare-job.ts'
import { type WriteParts, sizeOf } from './write-out.ts'

/** Does the jobs that a worker runs, and whatever it takes along with them. */
export interface Intake {
  /** Resolves once the job's events are committed. Rejects when the signal aborted first: then the job must run again. */
  run(job: Job): Promise<void>
}

export interface IntakeParts extends Omit<PrepareParts, 'metrics'>, WriteParts {
  /** Tells the worker how many jobs to run at the same time. */
  readonly setConcurrency: (jobs: number) => void
  /** The upper limit of it. */
  readonly concurrency: number
}

/** Measured with jobs of one event: fewer than two batches' worth leave batches half full, more gain nothing. */
export const JOBS_MAX = 500
const JOBS_MIN = 8
export const JOBS_FIRST = 50
/** Events that may be in memory: two batches that are written, and as much that waits. */
const EVENTS_IN_HAND = 4 * BATCH_EVENTS

/** Each job on its own, as BullMQ hands them out; the events of all that run at the same time share batches. */
export function plainIntake(parts: IntakeParts): Intake {
  const batcher = createBatcher(parts)
  const width = jobWidth(parts.concurrency)
  return {
    async run(job) {
      const nowMs = parts.clock.nowMs()
      const work = prepareJob({ id: job.id, data: job.data, receivedAtMs: nowMs }, nowMs, parts)
      const jobs = width.after(sizeOf(work))
      if (jobs !== undefined) parts.setConcurrency(jobs)
      await batcher.write(work)
      parts.metrics.jobsDone('plain', 1)
    },
  }
}

/** Follows how many events jobs carry, and says how many jobs may run so that EVENTS_IN_HAND are not exceeded by much. */
function jobWidth(limit: number): { after(events: number): number | undefined } {
  const usual = usualSize()
  let jobs = Math.min(JOBS_FIRST, limit)
  return {
    after(events) {
      const wanted = Math.max(
        Math.min(Math.floor(EVENTS_IN_HAND / usual.after(events)), limit),
        Math.min(JOBS_MIN, limit),
      )
      // Small changes are not worth telling.
      if (wanted > jobs * 0.8 && wanted < jobs * 1.25) return undefined
      jobs = wanted
      return jobs
    },
  }
}

/** Follows how many events jobs carry: fast up, slow down; one large job among small ones says that more may come. */
export function usualSize(): { after(events: number): number } {
  let usual = 1
  return {
    after(events) {
      usual = Math.max(events, 1) > usual ? events : usual * 0.98 + Math.max(events, 1) * 0.02
      return usual
    },
  }
}
