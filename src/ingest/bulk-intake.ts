import type { BulkClaim, ClaimLimit } from '../queue/bulk-claim.ts'
import type { Job } from '../queue/queues.ts'
import { BULK_EVENTS, ClaimRefusedError } from './bulk-run.ts'
import { leaseRun } from './lease-run.ts'
import { type Intake, type IntakeParts, JOBS_FIRST, plainIntake, usualSize } from './plain-intake.ts'
import { transactionRun } from './transaction-run.ts'

/** How many jobs take others along at the same time: one batch is written while the next is claimed and read. */
export const LANES = 2
/** Of the claimed jobs' data, for each lane: bounds the memory whatever jobs carry. */
const CLAIM_BYTES = 2 * 1024 * 1024
/** Jobs that run the plain way when the queue holds jobs that may not be taken along; then it is tried again. */
const PLAIN_RUNS = 200
const WORTH_IT = 8

/**
 * Jobs in bulk: each job that BullMQ hands out takes waiting ones along, so that BullMQ's cost per job is paid once a
 * batch. Waiting for jobs, pauses, retries and the recovery after a crash stay BullMQ's. Where jobs may not be taken along
 * (see bulk-claim.ts) it is the plain intake.
 *
 * A job that ends the process whenever it is read must be found: after a start the number of jobs taken along grows
 * from one, and a job that was running when its process died goes alone.
 */
export function bulkIntake(claim: BulkClaim, parts: IntakeParts): Intake {
  let plainRuns = 0
  let plainWidth = Math.min(JOBS_FIRST, parts.concurrency)
  let isUsable = true
  let jobsMax = 1
  const usual = usualSize()
  const isPlain = (): boolean => plainRuns > 0 || !isUsable
  const plain = plainIntake({
    ...parts,
    setConcurrency: (jobs) => {
      plainWidth = jobs
      if (isPlain()) parts.setConcurrency(jobs)
    },
  })
  const run = claim.kind === 'lease' ? leaseRun(claim, parts) : transactionRun(claim, parts)
  let perJob = 1
  const limit = (): ClaimLimit => ({
    jobs: Math.min(jobsMax - 1, Math.floor(BULK_EVENTS / perJob) - 1),
    bytes: CLAIM_BYTES,
  })

  const goPlain = (): void => {
    plainRuns = PLAIN_RUNS
    parts.setConcurrency(plainWidth)
  }
  const runPlain = async (job: Job): Promise<void> => {
    if (plainRuns > 0) {
      plainRuns -= 1
      if (!isPlain()) parts.setConcurrency(Math.min(LANES, parts.concurrency))
    }
    await plain.run(job)
  }
  const runInBulk = async (job: Job): Promise<void> => {
    perJob = usual.after(eventsIn(job.data))
    const { taken, ordinaryAhead } = await run(job, limit, () => (jobsMax = Math.ceil(jobsMax / 2)))
    parts.metrics.jobsDone('bulk', taken + 1)
    jobsMax = Math.min(jobsMax * 4, BULK_EVENTS)
    if (ordinaryAhead && taken < WORTH_IT) goPlain()
  }
  return {
    async run(job) {
      if (isPlain() || job.stalls > 0 || job.attemptsMade > 0) return runPlain(job)
      try {
        await runInBulk(job)
      } catch (error) {
        if (!(error instanceof ClaimRefusedError)) throw error
        parts.log.warn(
          { err: error },
          'jobs cannot be taken from the queue in bulk; ingest is slower without',
        )
        isUsable = false
        goPlain()
        await runPlain(job)
      }
    },
  }
}

function eventsIn(data: unknown): number {
  const events = typeof data === 'object' && data !== null && 'events' in data ? data.events : undefined
  return Array.isArray(events) ? events.length : 1
}
