import { setTimeout as delay } from 'node:timers/promises'
import { WaitingError } from 'bullmq'
import type { BullJob, BullQueue, QueueBackend } from './backend.ts'
import type { BulkClaim } from './bulk-claim.ts'
import { openPostgresBackend } from './postgres-backend.ts'
import { openRedisBackend } from './redis-backend.ts'

/** The queue gateways push usage events to, unless KEYHOUND_QUEUE names another. */
export const EVENT_QUEUE = 'usage-events'
/** The queue of detector runs. */
export const TICK_QUEUE = 'keyhound-ticks'

/** keyhound's queues on one server. Safe against a server that goes away: everything goes on when it is back. */
export interface Queues {
  readonly backend: 'redis' | 'postgres'
  /** What an operator should change about the server, in one sentence each; for the log at start. */
  readonly warnings: readonly string[]
  /** The queue of that name; the same object each time. */
  queue(name: string): JobQueue
  /** Starts to take jobs at once. */
  work(name: string, process: (job: Job) => Promise<void>, options?: WorkOptions): JobWorker
  /** For a processor that takes further waiting jobs of its queue along; undefined when only BullMQ itself may. */
  bulkClaim(name: string): BulkClaim | undefined
  /** When the job of the queue that has waited longest was added; undefined when none waits. */
  oldestWaitingAt(name: string): Promise<Date | undefined>
  /** Rejects within about two seconds when the server does not answer. */
  ping(): Promise<void>
  /** Closes workers (each waits for the jobs it runs), then queues. */
  close(): Promise<void>
}

export interface JobQueue {
  /**
   * Adds jobs; resolves once they are on the server, rejects within some seconds when it is away (some of them may be
   * there all the same). A job whose id the queue still knows, waiting, running or kept after it ended, is dropped.
   */
  add(jobs: readonly NewJob[]): Promise<void>
  counts(): Promise<JobCounts>
}

export interface NewJob {
  readonly name: string
  readonly data: unknown
  /** For a job that must run once however many processes add it. No colon, not only digits: BullMQ refuses both. */
  readonly id?: string
  /** How often the processor is tried before the job counts as failed; default 1. */
  readonly attempts?: number
  /** Pause before the second attempt, doubled for each further one; default 1 s. */
  readonly backoffMs?: number
}

/** A job that is running. Its data comes from outside: parse it. */
export interface Job {
  readonly id: string
  readonly name: string
  readonly data: unknown
  /** Attempts that failed before this one. */
  readonly attemptsMade: number
  /** How often it was running when its process died. */
  readonly stalls: number
}

export interface JobCounts {
  /** Ready to run, those with a priority included. */
  readonly waiting: number
  /** Waiting for their next attempt. */
  readonly delayed: number
  readonly active: number
  /** Ended without success, as far as they are kept. */
  readonly failed: number
  /** Ended with success, as far as they are kept. */
  readonly completed: number
}

/** How long the queue remembers jobs that ended: the newest `count`, and none older than `ageSeconds`. */
export interface KeepJobs {
  readonly count: number
  readonly ageSeconds?: number
}

export interface WorkOptions {
  /** Jobs run at the same time; default 1. */
  readonly concurrency?: number
  /**
   * A job id is refused for as long as the job is kept, so this is also how long ids protect from double runs. BullMQ
   * removes old jobs when another one ends, not by a timer. Default: the newest 1,000.
   */
  readonly keepCompleted?: KeepJobs
  /** Default: the newest 10,000 of the last week. */
  readonly keepFailed?: KeepJobs
  /**
   * After this time without a sign of life the jobs of a process that was killed run again elsewhere; at most a third
   * of it later. Default 15 s.
   */
  readonly lockMs?: number
}

export interface JobWorker {
  /** Changes how many jobs run at the same time. */
  setConcurrency(jobs: number): void
  /** Takes no more jobs, and resolves when those that run have ended. */
  close(): Promise<void>
}

/** Thrown by a processor: the job goes back to those that wait, not failed, and the attempt does not count. */
export class PutBackError extends Error {
  override readonly name = 'PutBackError'
}

export interface OpenQueuesOptions {
  /** Redis or Valkey, when there is one ... */
  readonly redisUrl?: string | undefined
  /** ... else BullMQ's PostgreSQL backend in this database. */
  readonly databaseUrl?: string | undefined
  /** Told about everything that goes wrong outside a call: lost connections, failed jobs. Same text at most every 30 s. */
  readonly onError?: (error: Error) => void
}

const DEFAULT_LOCK_MS = 15_000
const WEEK_SECONDS = 7 * 24 * 60 * 60
/** A job whose process dies this often is likely the reason that it dies. */
const MAX_STALLED = 100
/** A job that hangs, or a server that goes away meanwhile, must not keep a process from ending. */
const CLOSE_TIMEOUT_MS = 20_000

/**
 * Connects to the queue's server.
 * @throws QueueUnavailableError within five seconds, naming REDIS_URL or DATABASE_URL.
 */
export async function openQueues(options: OpenQueuesOptions): Promise<Queues> {
  const { redisUrl, databaseUrl } = options
  if (redisUrl !== undefined) return new OpenQueues(await openRedisBackend(redisUrl), options.onError)
  if (databaseUrl !== undefined)
    return new OpenQueues(await openPostgresBackend(databaseUrl), options.onError)
  throw new TypeError('openQueues needs a redisUrl or a databaseUrl')
}

class OpenQueues implements Queues {
  readonly #backend: QueueBackend
  readonly #onError: (error: Error) => void
  readonly #queues = new Map<string, BullQueue>()
  readonly #workers = new Set<JobWorker>()

  constructor(backend: QueueBackend, onError: (error: Error) => void = () => {}) {
    this.#backend = backend
    this.#onError = quietly(onError)
  }

  get backend() {
    return this.#backend.kind
  }

  get warnings() {
    return this.#backend.warnings
  }

  queue(name: string): JobQueue {
    const queue = this.#queue(name)
    return { add: (jobs) => add(queue, jobs), counts: () => counts(queue) }
  }

  async oldestWaitingAt(name: string): Promise<Date | undefined> {
    const [oldest] = await this.#queue(name).getJobs(['waiting'], 0, 0, true)
    return oldest === undefined ? undefined : new Date(oldest.timestamp)
  }

  #queue(name: string): BullQueue {
    const known = this.#queues.get(name)
    const queue = known ?? this.#backend.createQueue(name)
    if (!known) {
      queue.on('error', this.#onError)
      this.#queues.set(name, queue)
    }
    return queue
  }

  work(name: string, process: (job: Job) => Promise<void>, options: WorkOptions = {}): JobWorker {
    const { concurrency = 1, lockMs = DEFAULT_LOCK_MS } = options
    const worker = this.#backend.createWorker(name, puttingBack(process), {
      concurrency,
      lockDuration: lockMs,
      stalledInterval: Math.ceil(lockMs / 3),
      maxStalledCount: MAX_STALLED,
      runRetryDelay: 1_000, // BullMQ waits 15 s after an error of the server otherwise
      removeOnComplete: keep(options.keepCompleted ?? { count: 1_000 }),
      removeOnFail: keep(options.keepFailed ?? { count: 10_000, ageSeconds: WEEK_SECONDS }),
    })
    worker.on('error', this.#onError)
    worker.on('failed', (job, error) => {
      const which = job
        ? `job ${job.id} of queue ${name}, attempt ${job.attemptsMade}`
        : `a job of queue ${name}`
      this.#onError(new Error(`${which} failed: ${error.message}`, { cause: error }))
    })
    const closing: JobWorker = {
      setConcurrency: (jobs) => void (worker.concurrency = jobs),
      close: async () => {
        this.#workers.delete(closing)
        const paused = worker.pause(true) // no more jobs from now on
        // BullMQ waits for a server that is away; what runs on such a worker runs again elsewhere.
        const reachable = await this.ping().then(
          () => true,
          () => false,
        )
        await within(paused.then(() => worker.close(!reachable)))
      },
    }
    this.#workers.add(closing)
    return closing
  }

  bulkClaim(name: string): BulkClaim | undefined {
    return this.#backend.bulkClaim(name)
  }

  ping(): Promise<void> {
    return this.#backend.ping()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.close()))
    await Promise.all([...this.#queues.values()].map((queue) => within(queue.close())))
    await this.#backend.close()
  }
}

async function add(queue: BullQueue, jobs: readonly NewJob[]): Promise<void> {
  await queue.addBulk(
    jobs.map(({ name, data, id, attempts, backoffMs = 1_000 }) => ({
      name,
      data,
      opts: {
        ...(id === undefined ? {} : { jobId: id }),
        ...(attempts === undefined ? {} : { attempts, backoff: { type: 'exponential', delay: backoffMs } }),
      },
    })),
  )
}

async function counts(queue: BullQueue): Promise<JobCounts> {
  const found = await queue.getJobCounts('waiting', 'prioritized', 'delayed', 'active', 'failed', 'completed')
  const of = (state: string) => found[state] ?? 0
  return {
    waiting: of('waiting') + of('prioritized'),
    delayed: of('delayed'),
    active: of('active'),
    failed: of('failed'),
    completed: of('completed'),
  }
}

function puttingBack(process: (job: Job) => Promise<void>) {
  return async (job: BullJob, token?: string): Promise<void> => {
    try {
      await process(asJob(job))
    } catch (error) {
      if (!(error instanceof PutBackError)) throw error
      // When even this fails the job counts as running until its lock ends, and then runs again: see lockMs.
      await job.moveToWait(token).catch(() => {})
      throw new WaitingError() // tells BullMQ that the job is no longer its worker's
    }
  }
}

function asJob({ id = '', name, data, attemptsMade, stalledCounter: stalls }: BullJob): Job {
  return { id, name, data, attemptsMade, stalls }
}

function keep({ count, ageSeconds }: KeepJobs) {
  return ageSeconds === undefined ? { count } : { count, age: ageSeconds }
}

/** Waits for a close to end, but not for ever. */
async function within(closed: Promise<void>): Promise<void> {
  const timer = new AbortController()
  const late = delay(CLOSE_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => {})
  await Promise.race([closed, late]).finally(() => timer.abort())
}

/** Several connections find out about one outage, again and again: the same text passes at most every 30 seconds. */
function quietly(onError: (error: Error) => void): (error: Error) => void {
  const QUIET_MS = 30_000
  const toldAt = new Map<string, number>()
  return (error) => {
    const now = performance.now()
    const last = toldAt.get(error.message)
    if (last !== undefined && now - last < QUIET_MS) return
    if (toldAt.size > 1_000) toldAt.clear()
    toldAt.set(error.message, now)
    onError(error)
  }
}
