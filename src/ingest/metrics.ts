/** Why an event was refused, in few words: a label of a metric. */
export type RejectionClass = 'invalid' | 'future' | 'job' | 'database'

/** What ingest counts. */
export interface IngestMetrics {
  ingested(count: number): void
  duplicate(count: number): void
  rejected(reason: RejectionClass, count: number): void
  /** Values that looked like a secret and were replaced by a hash. */
  secretReplaced(count: number): void
  /** Successful requests without a cost that nobody could price. */
  unpriced(count: number): void
  /** Jobs that ended: taken in bulk, or one by one as BullMQ hands them out. */
  jobsDone(taken: 'bulk' | 'plain', count: number): void
  /** How long the database took for one batch. */
  batchSeconds(seconds: number): void
}
