import type { ClaimLimit } from '../queue/bulk-claim.ts'
import type { Job } from '../queue/queues.ts'

/**
 * Events of a statement while a backlog is drained. Twice a batch's worth: on 5,000 busy keys a larger statement touches
 * fewer rollup rows for each event, and there are half as many commits.
 */
export const BULK_EVENTS = 2_000

/** What came of taking jobs along with one. */
export interface BulkOutcome {
  /** Jobs taken along. */
  readonly taken: number
  readonly ordinaryAhead: boolean
}

/** Does a job and up to `limit` others. Throws ClaimRefusedError when the claim does not work here. */
export type BulkRun = (job: Job, limit: () => ClaimLimit, halve: () => void) => Promise<BulkOutcome>

/** The database forbids what a claim needs, or lacks it: the plain way does without. */
export class ClaimRefusedError extends Error {
  override readonly name = 'ClaimRefusedError'
}
