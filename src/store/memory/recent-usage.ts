import type { EnrichedEvent, KeyAttributes } from '../../usage/event.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart, type Rollup, type UsageTotals } from '../../usage/rollup.ts'
import type { SourceUsage } from '../../usage/source.ts'
import type { Coordinates, UsageDigest } from '../../usage/usage-digest.ts'
import { MinuteSums } from './minute-sums.ts'
import { RecentValues } from './recent-values.ts'

/** Where the rows are kept that the view shows. */
interface Rows {
  recent(nowMs: number): Rollup[]
  recentSources(nowMs: number): SourceUsage[]
}

/**
 * The recent usage of one key as of a tick, without making it: rows are listed only when a detector wants to see them,
 * which is seldom, for most of what it asks is kept summed while events are added. One view per key, set to the next
 * instant at the next tick.
 */
export class RecentUsage implements KeyUsage, UsageDigest {
  key: KeyAttributes
  readonly #rows: Rows
  readonly #sums = new MinuteSums()
  readonly #models = new RecentValues<string>((a, b) => a === b)
  readonly #countries = new RecentValues<string>((a, b) => a === b)
  readonly #addresses = new RecentValues<string>((a, b) => a === b)
  readonly #coordinates = new RecentValues<Coordinates>(
    (a, b) => a.latitude === b.latitude && a.longitude === b.longitude,
  )
  #nowMs = NaN
  #rollups: Rollup[] | undefined
  #sources: SourceUsage[] | undefined

  constructor(key: KeyAttributes, rows: Rows) {
    this.key = key
    this.#rows = rows
  }

  /** True when a value of the event is not in the digest's lists yet. */
  add(event: EnrichedEvent, totals: UsageTotals): boolean {
    const { timestampMs: atMs, place, ip } = event
    this.#sums.add(bucketStart(atMs), totals)
    let isStrange = this.#models.add(event.model, atMs)
    if (place !== undefined && this.#countries.add(place.country, atMs)) isStrange = true
    if (ip === undefined) return isStrange
    if (this.#addresses.add(ip, atMs)) isStrange = true
    const isSomewhere = place !== undefined && (place.latitude !== 0 || place.longitude !== 0)
    if (isSomewhere && this.#coordinates.add(place, atMs)) isStrange = true
    return isStrange
  }

  /** The same view, of the usage up to `nowMs`. Valid until the next `add`. */
  at(nowMs: number): this {
    this.#nowMs = nowMs
    this.#rollups = undefined
    this.#sources = undefined
    return this
  }

  prune(keepFromMs: number): void {
    this.#sums.prune(keepFromMs)
    for (const values of [this.#models, this.#countries, this.#addresses, this.#coordinates])
      values.prune(keepFromMs)
  }

  get rollups(): readonly Rollup[] {
    this.#rollups ??= this.#rows.recent(this.#nowMs)
    return this.#rollups
  }

  get sources(): readonly SourceUsage[] {
    this.#sources ??= this.#rows.recentSources(this.#nowMs)
    return this.#sources
  }

  get digest(): UsageDigest {
    return this
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get models(): readonly string[] | undefined {
    return this.#models.values
  }

  get countries(): readonly string[] | undefined {
    return this.#countries.values
  }

  get addresses(): readonly string[] | undefined {
    return this.#addresses.values
  }

  get coordinates(): readonly Coordinates[] | undefined {
    return this.#coordinates.values
  }

  since(fromMs: number): UsageTotals {
    return this.#sums.between(Math.max(fromMs, bucketStart(this.#nowMs - RECENT_USAGE_MS)), this.#nowMs)
  }
}
