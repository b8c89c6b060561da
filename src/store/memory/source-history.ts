import type { EnrichedEvent } from '../../usage/event.ts'
import { addInto, bucketStart, type UsageTotals } from '../../usage/rollup.ts'
import {
  busiestSources,
  sourceOf,
  SOURCE_BUCKET_MS,
  SOURCES_MAX,
  type SourceUsage,
} from '../../usage/source.ts'

type Counted = NonNullable<ReturnType<typeof sourceOf>>

interface Bucket {
  readonly startMs: number
  readonly byAddress: Map<string, Counted>
  /** In order of address, until an address comes that is not in it: ticks ask far more often than that happens. */
  inOrder: readonly SourceUsage[] | undefined
  /** The latest first event of an address: when it is past, nothing has to be left out. */
  lastFirstMs: number
}

/** Usage of one key per address, for as long as somebody looks at it. Counters grow in place. */
export class SourceHistory {
  /** Ascending by start. */
  readonly #buckets: Bucket[] = []

  add(event: EnrichedEvent, totals: UsageTotals): void {
    if (event.ip === undefined) return
    const { timestampMs: atMs } = event
    const bucket = this.#bucketAt(bucketStart(atMs, SOURCE_BUCKET_MS))
    const known = bucket.byAddress.get(event.ip)
    if (known !== undefined) {
      addInto(known, totals)
      if (atMs < known.firstMs) known.firstMs = atMs
      if (atMs > known.lastMs) known.lastMs = atMs
      return
    }
    const source = sourceOf(event, totals)
    if (source === undefined) return
    bucket.byAddress.set(source.address, source)
    bucket.inOrder = undefined
    bucket.lastFirstMs = Math.max(bucket.lastFirstMs, source.firstMs)
  }

  /** The sources that start in the span, whole, ascending by bucket, then address; the busiest of each bucket. */
  within(fromMs: number, toMs: number): SourceUsage[] {
    const sources: SourceUsage[] = []
    for (const bucket of this.#buckets) {
      if (bucket.startMs < fromMs || bucket.startMs >= toMs) continue
      for (const source of inOrder(bucket, toMs)) sources.push(source)
    }
    return sources
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
    const bucket: Bucket = { startMs, byAddress: new Map(), inOrder: undefined, lastFirstMs: -Infinity }
    this.#buckets.splice(index, 0, bucket)
    return bucket
  }
}

/** The sources of a bucket whose first event is before `toMs`. */
function inOrder(bucket: Bucket, toMs: number): readonly SourceUsage[] {
  if (bucket.lastFirstMs < toMs && bucket.inOrder !== undefined) return bucket.inOrder
  const all = [...bucket.byAddress.values()]
  if (bucket.lastFirstMs >= toMs) return busiestSources(all.filter(({ firstMs }) => firstMs < toMs))
  // Which are the busiest changes with every event; it matters only when not all are given.
  if (all.length > SOURCES_MAX) return busiestSources(all)
  bucket.inOrder = busiestSources(all)
  return bucket.inOrder
}
