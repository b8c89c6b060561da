import type { Clock } from '../clock.ts'
import type { EnrichEvent } from '../enrich/enrich-event.ts'
import { type Job, type JobWorker, PutBackError, type Queues } from '../queue/queues.ts'
import type { UsageWriter } from '../store/usage-store.ts'
import { BATCH_EVENTS, createBatcher, type IngestLog, type Work } from './batcher.ts'
import type { IngestMetrics } from './metrics.ts'
import { prepareJob } from './prepare-job.ts'

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
}

export interface Ingest {
  /**
   * Takes no more jobs and waits for those under way. While the database is away they go back to the queue: another
   * process, or the next start, does them.
   */
  stop(): Promise<void>
}

/** Measured with jobs of one event: fewer than two batches' worth leave batches half full, more gain nothing. */
const JOBS_MAX = 500
const JOBS_MIN = 8
const JOBS_FIRST = 50
/** Events that may be in memory: two batches that are written, and as much that waits. */
const EVENTS_IN_HAND = 4 * BATCH_EVENTS
/** How long `stop` waits for the database before jobs are put back. */
const STOP_WAIT_MS = 5_000

/**
 * Takes usage events from the queue, checks and enriches them, and stores them in batches that all running jobs share.
 * A job completes when its events are committed, and never fails for what is in it. While the database is away jobs
 * wait and the queue keeps what comes; ingest goes on by itself.
 */
export function startIngest(parts: IngestParts): Ingest {
  const { queues, queueName, clock, concurrency = JOBS_MAX } = parts
  const stopping = new AbortController()
  const batcher = createBatcher({ ...parts, signal: stopping.signal })
  const width = jobWidth(concurrency)

  const run = async (job: Job): Promise<void> => {
    const received = { id: job.id, data: job.data, receivedAtMs: clock.nowMs() }
    const work = prepareJob(received, clock.nowMs(), parts)
    const jobs = width.after(sizeOf(work))
    if (jobs !== undefined) worker.setConcurrency(jobs)
    try {
      await batcher.write(work)
    } catch (error) {
      if (stopping.signal.aborted) throw new PutBackError('ingest is stopping and the database is away')
      throw error
    }
  }
  const worker: JobWorker = queues.work(queueName, run, {
    concurrency: Math.min(JOBS_FIRST, concurrency),
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

function sizeOf(work: Work): number {
  return work.events.length + work.rejected.length
}

/** Follows how many events jobs carry, and says how many jobs may run so that EVENTS_IN_HAND are not exceeded by much. */
function jobWidth(limit: number): { after(events: number): number | undefined } {
  let usual = 1
  let jobs = Math.min(JOBS_FIRST, limit)
  return {
    after(events) {
      // Fast up, slow down: one large job among small ones says that more may come.
      usual = Math.max(events, 1) > usual ? events : usual * 0.98 + events * 0.02
      const wanted = Math.max(
        Math.min(Math.floor(EVENTS_IN_HAND / Math.max(usual, 1)), limit),
        Math.min(JOBS_MIN, limit),
      )
      // Small changes are not worth telling.
      if (wanted > jobs * 0.8 && wanted < jobs * 1.25) return undefined
      jobs = wanted
      return jobs
    },
  }
}
