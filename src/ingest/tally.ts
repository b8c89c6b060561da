import type { IngestMetrics, RejectionClass } from './metrics.ts'

/** Counts what reading jobs gives, to be counted for good when they are committed. */
export class Tally implements Pick<IngestMetrics, 'rejected' | 'secretReplaced' | 'unpriced'> {
  readonly #rejected = new Map<RejectionClass, number>()
  #secrets = 0
  #unpriced = 0

  rejected(reason: RejectionClass, count: number): void {
    this.#rejected.set(reason, (this.#rejected.get(reason) ?? 0) + count)
  }

  secretReplaced(count: number): void {
    this.#secrets += count
  }

  unpriced(count: number): void {
    this.#unpriced += count
  }

  countInto(metrics: IngestMetrics): void {
    for (const [reason, count] of this.#rejected) metrics.rejected(reason, count)
    if (this.#secrets > 0) metrics.secretReplaced(this.#secrets)
    if (this.#unpriced > 0) metrics.unpriced(this.#unpriced)
  }
}
