import type { EnrichedEvent } from '../../usage/event.ts'
import { addSource, busiestSources, sourceOf, type SourceUsage } from '../../usage/source.ts'

type Counted = NonNullable<ReturnType<typeof sourceOf>>

interface Bucket {
  readonly startMs: number
  readonly byAddress: Map<string, Counted>
}

/** Usage of one key per address, as far back as anyone looks. Counters grow in place. */
export class SourceHistory {
  /** Ascending by start. */
  readonly #buckets: Bucket[] = []

  add(event: EnrichedEvent): void {
    const source = sourceOf(event)
    if (source === undefined) return
    const { byAddress } = this.#bucketAt(source.bucketMs)
    const known = byAddress.get(source.address)
    if (known === undefined) byAddress.set(source.address, source)
    else addSource(known, source)
  }

  /** The sources that start in the span, whole, ascending by bucket, then address; the busiest of each bucket. */
  within(fromMs: number, toMs: number): SourceUsage[] {
    return this.#buckets
      .filter(({ startMs }) => startMs >= fromMs && startMs < toMs)
      .flatMap(({ byAddress }) =>
        busiestSources([...byAddress.values()].filter(({ firstMs }) => firstMs < toMs)),
      )
  }

  prune(keepFromMs: number): void {
    const firstKept = this.#buckets.findIndex(({ startMs }) => startMs >= keepFromMs)
    if (firstKept === 0) return
    this.#buckets.splice(0, firstKept < 0 ? this.#buckets.length : firstKept)
  }

  /** The bucket of a time, made when there is none; events come in nearly the order of time, so it is near the end. */
  #bucketAt(startMs: number): Bucket {
    let index = this.#buckets.length
    for (; index > 0; index -= 1) {
      const bucket = this.#buckets[index - 1]
      if (bucket === undefined || bucket.startMs < startMs) break
      if (bucket.startMs === startMs) return bucket
    }
    const bucket = { startMs, byAddress: new Map<string, Counted>() }
    this.#buckets.splice(index, 0, bucket)
    return bucket
  }
}
