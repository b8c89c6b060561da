import type { Clock } from '../clock.ts'
import type { EnrichEvent } from '../enrich/enrich-event.ts'
import { type Job, type JobWorker, PutBackError, type Queues } from '../queue/queues.ts'
import type { UsageWriter } from '../store/usage-store.ts'
import { bulkIntake, LANES } from './bulk-intake.ts'
import type { IngestMetrics } from './metrics.ts'
import { type IntakeParts, JOBS_FIRST, JOBS_MAX, plainIntake } from './plain-intake.ts'
import type { IngestLog } from './write-out.ts'

export interface IngestParts {
  readonly queues: Queues
  readonly queueName: string
  readonly writer: UsageWriter
  readonly enrich: EnrichEvent
  /** Key of the hash that takes the place of secrets. */
  readonly hashKey: Uint8Array
  readonly metrics: IngestMetrics
  readonly log: IngestLog
  readonly clock: Clock
  /** Jobs at the same time: an upper limit; fewer run while jobs carry many events. Default JOBS_MAX. */
  readonly concurrency?: number
  /** `plain` takes each job by itself, as BullMQ hands them out. Default `bulk`, where the queue allows it. */
  readonly take?: 'bulk' | 'plain'
}

export interface Ingest {
  /**
   * Takes no more jobs and waits for those under way. While the database is away they go back to the queue: another
   * process, or the next start, does them.
   */
  stop(): Promise<void>
}

/** How long `stop` waits for the database before jobs are put back. */
const STOP_WAIT_MS = 5_000

/**
 * Takes usage events from the queue, checks and enriches them, and stores them in batches. A job completes when its
 * events are committed, and never fails for what is in it. While the database is away jobs wait and the queue keeps
 * what comes; ingest goes on by itself.
 */
export function startIngest(parts: IngestParts): Ingest {
  const { queues, queueName, concurrency = JOBS_MAX, take = 'bulk' } = parts
  const stopping = new AbortController()
  const claim = take === 'bulk' ? queues.bulkClaim(queueName) : undefined
  if (take === 'bulk' && claim === undefined) {
    parts.log.warn(
      { queueName },
      'this version of BullMQ is not known: jobs are taken one by one, which is slower',
    )
  }
  const intakeParts: IntakeParts = {
    ...parts,
    concurrency,
    signal: stopping.signal,
    setConcurrency: (jobs) => worker.setConcurrency(jobs),
  }
  const intake = claim === undefined ? plainIntake(intakeParts) : bulkIntake(claim, intakeParts)

  const run = async (job: Job): Promise<void> => {
    try {
      await intake.run(job)
    } catch (error) {
      if (stopping.signal.aborted) throw new PutBackError('ingest is stopping and the database is away')
      throw error
    }
  }
  const worker: JobWorker = queues.work(queueName, run, {
    concurrency: Math.min(claim === undefined ? JOBS_FIRST : LANES, concurrency),
    // Nobody asks for completed usage jobs; what could not be done is told by the rows in rejected_event.
    keepCompleted: { count: 0 },
  })
  return {
    async stop() {
      const patience = setTimeout(() => stopping.abort(new Error('ingest is stopping')), STOP_WAIT_MS)
      await worker.close()
      clearTimeout(patience)
    },
  }
}
