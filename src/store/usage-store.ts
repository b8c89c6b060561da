import type { EnrichedEvent } from '../usage/event.ts'

/** An event that was refused, kept with the reason so that nothing disappears in silence. */
export interface RejectedEvent {
  /** The queue job it came in, and its place in it: makes a repeat harmless. */
  readonly jobId: string
  readonly index: number
  readonly receivedAt: Date
  readonly reason: string
  /** The event as received, secrets replaced, cut at 64 KiB; undefined when it was not JSON. */
  readonly payload: unknown
}

export interface UsageWriter {
  /**
   * Stores events and adds the ones that are really new to the rollups, and stores refused ones, in one transaction.
   * Exact under repeats: an id that is already there changes nothing.
   * Throws StoreUnavailableError when the database cannot be reached; nothing is stored then.
   */
  write(batch: {
    readonly events: readonly EnrichedEvent[]
    readonly rejected: readonly RejectedEvent[]
  }): Promise<{ readonly inserted: number; readonly duplicates: number }>
}

/** The database cannot be reached or is shutting down: wait and try again, nothing is wrong with the data. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}
