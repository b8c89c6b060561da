import type { Kysely } from 'kysely'

/**
 * Takes waiting jobs together, beside the one that a worker runs: BullMQ's own way costs one script call for each job,
 * which is more than storing its events. Only plain jobs are taken: they have never run, and nothing is set on them but
 * their id and options that a job which is stored and removed honours by itself (HARMLESS_OPTIONS, and to be removed once
 * it is complete). All others, and everything while the queue is paused, rate limited or bounded in its concurrency, are
 * left to BullMQ.
 */
export type BulkClaim = LeasingClaim | TransactionClaim

/** Jobs are marked as running, then removed: on Redis. */
export interface LeasingClaim {
  readonly kind: 'lease'
  claim(limit: ClaimLimit): Promise<LeasedJobs>
}

/** Jobs are removed in the transaction that stores their events: where queue and events are in one database. */
export interface TransactionClaim {
  readonly kind: 'transaction'
  /** Removes the jobs within the transaction; when it ends without a commit they wait as before. */
  take(trx: Kysely<unknown>, limit: ClaimLimit): Promise<TakenJobs>
}

export interface ClaimLimit {
  readonly jobs: number
  /** Of the jobs' data, roughly; the job that passes it is still taken. */
  readonly bytes: number
}

export interface TakenJobs {
  readonly jobs: readonly ClaimedJob[]
  /** True when the limit was not reached because of jobs that are left to BullMQ. */
  readonly ordinaryAhead: boolean
}

/** Jobs that run here, as far as others can see, for LEASE_MS or until they are renewed. */
export interface LeasedJobs extends TakenJobs {
  /** Call it more often than every LEASE_MS while the jobs run. */
  renew(): Promise<void>
  /** Removes the jobs as done. Those whose lease has ended run again elsewhere and stay. Returns how many were removed. */
  complete(): Promise<number>
  /** Lets the jobs wait again, as the next ones. */
  putBack(): Promise<void>
}

export interface ClaimedJob {
  readonly id: string
  /** Parsed; undefined when it is not JSON. */
  readonly data: unknown
}

/** Like the lock of a job that BullMQ runs. */
export const LEASE_MS = 15_000

/**
 * Options of a job that say what happens when it fails. A job that was taken along does not: when its events cannot be
 * stored it waits again, and BullMQ hands it out. Gateways set them as a habit.
 */
export const HARMLESS_OPTIONS: readonly string[] = ['jobId', 'attempts', 'backoff', 'removeOnFail']
