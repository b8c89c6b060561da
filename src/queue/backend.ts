import type { Queue, Worker, WorkerOptions } from 'bullmq'
import type { BulkClaim } from './bulk-claim.ts'

/** What differs between BullMQ on Redis and BullMQ on PostgreSQL: how things are made, not what they do. */
export interface QueueBackend {
  readonly kind: 'redis' | 'postgres'
  /** What an operator should change about the server, in one sentence each. */
  readonly warnings: readonly string[]
  createQueue(name: string): BullQueue
  createWorker(name: string, processor: BullProcessor, options: BullWorkerOptions): BullWorker
  /** Undefined when jobs cannot be taken in bulk: BullMQ is a version that is not known here. */
  bulkClaim(queueName: string): BulkClaim | undefined
  /** Rejects within about two seconds when the server does not answer. */
  ping(): Promise<void>
  close(): Promise<void>
}

export type BullQueue = Pick<
  Queue,
  'addBulk' | 'getJobCounts' | 'getJobs' | 'close' | 'disconnect' | 'waitUntilReady'
> & {
  on(event: 'error', listener: (error: Error) => void): unknown
}
export type BullWorker = Pick<Worker, 'close' | 'concurrency' | 'pause'> & {
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'failed', listener: (job: BullJob | undefined, error: Error) => void): unknown
}
export type BullWorkerOptions = Omit<WorkerOptions, 'connection' | 'prefix'>
export type BullProcessor = (job: BullJob, token?: string) => Promise<void>

/** The part of BullMQ's Job that is read here. */
export interface BullJob {
  readonly id?: string | undefined
  readonly name: string
  readonly data: unknown
  readonly attemptsMade: number
  readonly stalledCounter: number
  moveToWait(token?: string): Promise<unknown>
}

/** The queue's server cannot be used; the message names the variable to look at and never the password. */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError'
}

/** A URL without user, password and parameters: where something is, and nothing else. */
export function placeOf(url: string): string {
  try {
    const { protocol, host, pathname, searchParams } = new URL(url)
    return `${protocol}//${searchParams.get('host') ?? host}${pathname}`
  } catch {
    return 'an address that is not a URL'
  }
}

/** The reason of a failed connection; several addresses tried (IPv6 and IPv4) fail with one error that has no message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message || error.name : String(error)
}
