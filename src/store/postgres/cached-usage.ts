import type { KeyAttributes } from '../../usage/event.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart, NO_USAGE, type Rollup, type UsageTotals } from '../../usage/rollup.ts'
import { busiestSources, SOURCE_BUCKET_MS, type SourceUsage } from '../../usage/source.ts'
import type { Coordinates, UsageDigest } from '../../usage/usage-digest.ts'
import { ROLLUP, SOURCE, type CachedKey } from './cached-key.ts'
import type { RowTable } from './row-table.ts'
import type { TextNumbers } from './text-numbers.ts'

/** More values than this are not told apart: whoever asks then looks for himself. */
const VALUES_MAX = 24

/**
 * The usage of a cached key as of a tick. Rows are listed only when a detector wants to see them, which is seldom: most
 * of what it asks is answered from the numbers. Valid until the next look at the shard.
 */
export class CachedUsage implements KeyUsage, UsageDigest {
  readonly key: KeyAttributes
  readonly nowMs: number
  readonly #cached: CachedKey
  readonly #cells: { readonly texts: TextNumbers }
  #rollups: readonly Rollup[] | undefined
  #sources: readonly SourceUsage[] | undefined
  /** What was asked for, unless it was too many. */
  #models: readonly string[] | undefined
  #countries: readonly string[] | undefined
  #addresses: readonly string[] | undefined
  #coordinates: readonly Coordinates[] | undefined

  /** `cells` has the texts, whose numbers may change; `sources` are those of a key that keeps none. */
  constructor(
    cached: CachedKey,
    {
      cells,
      nowMs,
      sources,
    }: {
      readonly cells: { readonly texts: TextNumbers }
      readonly nowMs: number
      readonly sources: readonly SourceUsage[] | undefined
    },
  ) {
    this.key = cached.attributes
    this.nowMs = nowMs
    this.#cached = cached
    this.#cells = cells
    this.#sources = sources
  }

  get digest(): UsageDigest {
    return this
  }

  get rollups(): readonly Rollup[] {
    this.#rollups ??= this.#listRollups()
    return this.#rollups
  }

  get sources(): readonly SourceUsage[] {
    this.#sources ??= this.#listSources()
    return this.#sources
  }

  get models(): readonly string[] | undefined {
    this.#models ??= this.#distinct(this.#cached.rollups, ROLLUP.model, this.#rollupsFromMs)
    return this.#models
  }

  get countries(): readonly string[] | undefined {
    this.#countries ??= this.#distinct(this.#cached.rollups, ROLLUP.country, this.#rollupsFromMs)
    return this.#countries
  }

  get addresses(): readonly string[] | undefined {
    const { sources } = this.#cached
    if (sources === undefined) return undefined
    this.#addresses ??= this.#distinct(sources, SOURCE.address, this.#sourcesFromMs)
    return this.#addresses
  }

  get coordinates(): readonly Coordinates[] | undefined {
    const { sources } = this.#cached
    if (sources === undefined) return undefined
    this.#coordinates ??= this.#coordinatesOf(sources)
    return this.#coordinates
  }

  #coordinatesOf(sources: RowTable): readonly Coordinates[] | undefined {
    const found: Coordinates[] = []
    for (let row = sources.rows - 1; row >= 0; row -= 1) {
      if (sources.at(row, SOURCE.bucketMs) < this.#sourcesFromMs) break
      const latitude = sources.at(row, SOURCE.latitude)
      const longitude = sources.at(row, SOURCE.longitude)
      if (Number.isNaN(latitude) || Number.isNaN(longitude)) continue
      if (found.some((at) => at.latitude === latitude && at.longitude === longitude)) continue
      if (found.length === VALUES_MAX) return undefined
      found.push({ latitude, longitude })
    }
    return found
  }

  since(fromMs: number): UsageTotals {
    if (sums.of !== this) sumUp(this, this.#cached.rollups, this.#rollupsFromMs)
    return sumSince(fromMs)
  }

  get #rollupsFromMs(): number {
    return bucketStart(this.nowMs - RECENT_USAGE_MS)
  }

  get #sourcesFromMs(): number {
    return bucketStart(this.nowMs - RECENT_USAGE_MS, SOURCE_BUCKET_MS)
  }

  #distinct(table: RowTable, column: number, fromMs: number): readonly string[] | undefined {
    const numbers: number[] = []
    for (let row = table.rows - 1; row >= 0 && table.at(row, 0) >= fromMs; row -= 1) {
      if (table.at(row, 0) > this.nowMs) continue
      const number = table.at(row, column)
      if (numbers.includes(number)) continue
      if (numbers.length === VALUES_MAX) return undefined
      numbers.push(number)
    }
    // Without a text: no country is known.
    return numbers.map((number) => this.#cells.texts.textOf(number)).filter((text) => text !== '')
  }

  /** Field by field, and sorted only where it must be: it is called for every key that does more than usual. */
  #listRollups(): Rollup[] {
    const { rollups: table, keyId } = this.#cached
    const rollups: Rollup[] = []
    const fromMs = this.#rollupsFromMs
    let isInOrder = true
    for (let row = 0; row < table.rows; row += 1) {
      const bucketMs = table.at(row, ROLLUP.bucketMs)
      if (bucketMs < fromMs || bucketMs > this.nowMs) continue
      if (rollups.at(-1)?.bucketMs === bucketMs) isInOrder = false
      rollups.push({
        keyId,
        bucketMs,
        model: this.#cells.texts.textOf(table.at(row, ROLLUP.model)),
        country: this.#cells.texts.textOf(table.at(row, ROLLUP.country)) || undefined,
        requests: table.at(row, ROLLUP.counters),
        refused: table.at(row, ROLLUP.counters + 1),
        inputTokens: table.at(row, ROLLUP.counters + 2),
        outputTokens: table.at(row, ROLLUP.counters + 3),
        cachedInputTokens: table.at(row, ROLLUP.counters + 4),
        costNanoUsd: table.at(row, ROLLUP.counters + 5),
        unpriced: table.at(row, ROLLUP.counters + 6),
      })
    }
    return isInOrder ? rollups : rollups.toSorted(byCell)
  }

  #listSources(): SourceUsage[] {
    const table = this.#cached.sources
    const listed: SourceUsage[] = []
    let bucket: SourceUsage[] = []
    for (let row = 0; table !== undefined && row < table.rows; row += 1) {
      const source = this.#sourceAt(table, row)
      if (source.bucketMs < this.#sourcesFromMs || source.firstMs > this.nowMs) continue
      if (bucket[0]?.bucketMs !== source.bucketMs) {
        listed.push(...busiestSources(bucket))
        bucket = []
      }
      bucket.push(source)
    }
    listed.push(...busiestSources(bucket))
    return listed
  }

  #sourceAt(table: RowTable, row: number): SourceUsage {
    const [latitude, longitude] = [table.at(row, SOURCE.latitude), table.at(row, SOURCE.longitude)]
    return {
      keyId: this.key.keyId,
      bucketMs: table.at(row, SOURCE.bucketMs),
      address: this.#cells.texts.textOf(table.at(row, SOURCE.address)),
      country: this.#cells.texts.textOf(table.at(row, SOURCE.country)) || undefined,
      latitude: Number.isNaN(latitude) ? undefined : latitude,
      longitude: Number.isNaN(longitude) ? undefined : longitude,
      ...totalsAt(table, row, SOURCE.counters),
      firstMs: table.at(row, SOURCE.firstMs),
      lastMs: table.at(row, SOURCE.lastMs),
    }
  }
}

function byCell(a: Rollup, b: Rollup): number {
  if (a.bucketMs !== b.bucketMs) return a.bucketMs - b.bucketMs
  if (a.model !== b.model) return a.model < b.model ? -1 : 1
  const [country, other] = [a.country ?? '', b.country ?? '']
  if (country === other) return 0
  return country < other ? -1 : 1
}

function totalsAt(table: RowTable, row: number, first: number): UsageTotals {
  return {
    requests: table.at(row, first),
    refused: table.at(row, first + 1),
    inputTokens: table.at(row, first + 2),
    outputTokens: table.at(row, first + 3),
    cachedInputTokens: table.at(row, first + 4),
    costNanoUsd: table.at(row, first + 5),
    unpriced: table.at(row, first + 6),
  }
}

const COUNTERS = 7
/**
 * Of the usage that was last asked: a row for each of its rollups, the newest first: the start of its bucket, and the
 * seven sums from there to the tick. Used again for each, for detectors judge one key after the other.
 */
const sums = {
  of: undefined as CachedUsage | undefined,
  rows: 0,
  table: new Float64Array(128 * (COUNTERS + 1)),
}

function sumUp(usage: CachedUsage, rollups: RowTable, fromMs: number): void {
  const width = COUNTERS + 1
  if (sums.table.length < rollups.rows * width) sums.table = new Float64Array(2 * rollups.rows * width)
  const { table } = sums
  let rows = 0
  for (let row = rollups.rows - 1; row >= 0; row -= 1) {
    const bucketMs = rollups.at(row, ROLLUP.bucketMs)
    if (bucketMs > usage.nowMs) continue
    if (bucketMs < fromMs) break
    const at = rows * width
    table[at] = bucketMs
    for (let counter = 0; counter < COUNTERS; counter += 1) {
      const later = rows === 0 ? 0 : (table[at - width + 1 + counter] ?? 0)
      table[at + 1 + counter] = later + rollups.at(row, ROLLUP.counters + counter)
    }
    rows += 1
  }
  sums.of = usage
  sums.rows = rows
}

function sumSince(fromMs: number): UsageTotals {
  const width = COUNTERS + 1
  // The last row that is not before it.
  let low = -1
  let high = sums.rows - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((sums.table[middle * width] ?? 0) >= fromMs) low = middle
    else high = middle - 1
  }
  if (low < 0) return NO_USAGE
  const at = low * width
  const { table } = sums
  return {
    requests: table[at + 1] ?? 0,
    refused: table[at + 2] ?? 0,
    inputTokens: table[at + 3] ?? 0,
    outputTokens: table[at + 4] ?? 0,
    cachedInputTokens: table[at + 5] ?? 0,
    costNanoUsd: table[at + 6] ?? 0,
    unpriced: table[at + 7] ?? 0,
  }
}
