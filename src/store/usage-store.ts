import type { Kysely } from 'kysely'
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
  write(batch: UsageBatch): Promise<Written>
  /**
   * The same for what `take` gives within the transaction: what it does there, such as removing jobs from a queue in the
   * same database, is committed together with the events, or not at all. It may be called again, in another transaction,
   * after the first was rolled back.
   */
  readonly writeTaken?: (take: (trx: Kysely<unknown>) => Promise<UsageBatch>) => Promise<Written>
}

export interface UsageBatch {
  readonly events: readonly EnrichedEvent[]
  readonly rejected: readonly RejectedEvent[]
}

export interface Written {
  /** Events that are new. */
  readonly inserted: number
  readonly duplicates: number
}

/** The database cannot be reached or is shutting down: wait and try again, nothing is wrong with the data. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}
