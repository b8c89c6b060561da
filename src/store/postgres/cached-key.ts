import type { KeyAttributes } from '../../usage/event.ts'
import type { JudgedKey } from '../unjudged.ts'
import { SOURCES_MAX } from '../../usage/source.ts'
import { RowTable } from './row-table.ts'

/** Columns of a row of `usage_rollup`: when, which, and from COUNTERS on its seven counters. */
export const ROLLUP = { bucketMs: 0, model: 1, country: 2, counters: 3, width: 10 } as const
/** Columns of a row of `usage_source`. A place that is not known is NaN. */
export const SOURCE = {
  bucketMs: 0,
  address: 1,
  country: 2,
  latitude: 3,
  longitude: 4,
  firstMs: 5,
  lastMs: 6,
  counters: 7,
  width: 14,
} as const

/** A key with more rows than this (it changes its address with every request) has its sources read when they are needed. */
const SOURCE_ROWS_MAX = 4 * SOURCES_MAX

/** What is kept in memory of one key: its attributes, and its rows of the recent time. */
export class CachedKey implements JudgedKey {
  readonly keyId: string
  attributes: KeyAttributes
  /** Of the row of `api_key` that the attributes are from; undefined before they are read. */
  version: string | undefined = undefined
  /** When a tick last asked for them. */
  attributesAtMs = -Infinity
  /** From when on its profile may be taught an hour, if it is calm. */
  profileDueMs = -Infinity
  readonly rollups = new RowTable({ width: ROLLUP.width, identity: ROLLUP.counters })
  /** Undefined when they are too many to be kept. */
  sources: RowTable | undefined = new RowTable({ width: SOURCE.width, identity: SOURCE.country })

  constructor(keyId: string) {
    this.keyId = keyId
    this.attributes = { keyId, teamId: undefined, environment: undefined }
  }

  get lastBucketMs(): number {
    return this.rollups.rows === 0 ? -Infinity : this.rollups.at(this.rollups.rows - 1, ROLLUP.bucketMs)
  }

  hasUsageFrom(fromMs: number, nowMs: number): boolean {
    let row = this.rollups.rows - 1
    while (row >= 0 && this.rollups.at(row, ROLLUP.bucketMs) > nowMs) row -= 1
    return row >= 0 && this.rollups.at(row, ROLLUP.bucketMs) >= fromMs
  }

  putSource(row: ArrayLike<number>): void {
    this.sources?.put(row)
    if ((this.sources?.rows ?? 0) > SOURCE_ROWS_MAX) this.sources = undefined
  }

  /** True when model and country of the row are those of one from `fromMs` on. */
  hasRollupLike(row: ArrayLike<number>, fromMs: number): boolean {
    return this.rollups.hasAlike(row, ROLLUP.model, ROLLUP.counters, fromMs)
  }

  /** True when address, country and place of the row are those of one from `fromMs` on. */
  hasSourceLike(row: ArrayLike<number>, fromMs: number): boolean {
    return this.sources?.hasAlike(row, SOURCE.address, SOURCE.firstMs, fromMs) === true
  }

  /** True for usage that is stamped later than now. */
  isAheadOf(nowMs: number): boolean {
    const { sources } = this
    return (
      this.lastBucketMs > nowMs ||
      (sources !== undefined && sources.rows > 0 && sources.at(sources.rows - 1, SOURCE.bucketMs) > nowMs)
    )
  }

  prune(fromMs: number): void {
    this.rollups.prune(fromMs)
    this.sources?.prune(fromMs)
  }

  /** The texts have other numbers now. */
  renumber(to: (number: number) => number): void {
    this.rollups.renumber(ROLLUP.model, to)
    this.rollups.renumber(ROLLUP.country, to)
    this.sources?.renumber(SOURCE.address, to)
    this.sources?.renumber(SOURCE.country, to)
  }
}
