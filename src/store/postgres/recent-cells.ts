import { RECENT_USAGE_MS } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { isSomewhere, SOURCE_BUCKET_MS } from '../../usage/source.ts'
import { CachedKey, ROLLUP, SOURCE } from './cached-key.ts'
import { TextNumbers } from './text-numbers.ts'
import type { OnRollup, OnSource } from './usage-rows.ts'

/** Fewer texts than this are never worth sorting out. */
const TEXTS_MIN = 10_000

/** The start of the oldest bucket, of sources or rollups, that a look at `nowMs` shows. */
export function recentFromMs(nowMs: number): number {
  return bucketStart(nowMs - RECENT_USAGE_MS, SOURCE_BUCKET_MS)
}

/**
 * The rows of `usage_rollup` and `usage_source` of the recent time, of the keys of one shard. Rows hold absolute sums: one
 * that is read again replaces what was there, so that reading too much does no harm.
 */
export class RecentCells {
  readonly keys = new Map<string, CachedKey>()
  #texts = new TextNumbers()
  #textsAfterSweep = 0
  #keptFromMs: number

  constructor(nowMs: number) {
    this.#keptFromMs = recentFromMs(nowMs)
  }

  get texts(): TextNumbers {
    return this.#texts
  }

  /** False when older rows than these have been forgotten. */
  reachesBack(nowMs: number): boolean {
    return recentFromMs(nowMs) >= this.#keptFromMs
  }

  /** Takes a rollup in, and tells when it is new or another than before, and whether its model or country is new since `fromMs`. */
  rollupTaker(
    fromMs: number,
    onNews: (key: CachedKey, bucketMs: number, isStrange: boolean) => void,
  ): OnRollup {
    const row = new Float64Array(ROLLUP.width)
    return ({ keyId, model, country }, numbers) => {
      const key = this.#keyOf(keyId)
      const [bucketMs = Number.NaN] = numbers
      row[ROLLUP.bucketMs] = bucketMs
      row[ROLLUP.model] = this.#texts.numberOf(model)
      row[ROLLUP.country] = this.#texts.numberOf(country)
      for (let counter = 1; counter < numbers.length; counter += 1)
        row[ROLLUP.counters - 1 + counter] = numbers[counter] ?? Number.NaN
      const isStrange = !key.hasRollupLike(row, fromMs)
      if (key.rollups.put(row)) onNews(key, bucketMs, isStrange)
    }
  }

  /** Takes a source in, and tells when its address or place is new since `fromMs`. */
  sourceTaker(fromMs: number, onStrange: (key: CachedKey) => void): OnSource {
    const row = new Float64Array(SOURCE.width)
    return ({ keyId, address, country, latitude, longitude }, numbers) => {
      const isKnown = latitude !== null && longitude !== null && isSomewhere(latitude, longitude)
      row[SOURCE.bucketMs] = numbers[0] ?? Number.NaN
      row[SOURCE.address] = this.#texts.numberOf(address)
      row[SOURCE.country] = this.#texts.numberOf(country ?? '')
      row[SOURCE.latitude] = isKnown ? latitude : Number.NaN
      row[SOURCE.longitude] = isKnown ? longitude : Number.NaN
      for (let number = 1; number < numbers.length; number += 1)
        row[SOURCE.firstMs - 1 + number] = numbers[number] ?? Number.NaN
      const key = this.#keyOf(keyId)
      if (!key.hasSourceLike(row, fromMs)) onStrange(key)
      key.putSource(row)
    }
  }

  /** Forgets what is no longer recent, every ten minutes of `nowMs`, and tells of keys that are left without usage. */
  sweep(nowMs: number, onGone: (key: CachedKey) => void): void {
    const fromMs = recentFromMs(nowMs)
    if (fromMs <= this.#keptFromMs) return
    this.#keptFromMs = fromMs
    for (const key of this.keys.values()) {
      key.prune(fromMs)
      if (key.rollups.rows > 0) continue
      this.keys.delete(key.keyId)
      onGone(key)
    }
    if (this.#texts.size > TEXTS_MIN && this.#texts.size > 2 * this.#textsAfterSweep) this.#sortOutTexts()
  }

  #sortOutTexts(): void {
    const [old, kept] = [this.#texts, new TextNumbers()]
    for (const key of this.keys.values()) key.renumber((number) => kept.numberOf(old.textOf(number)))
    this.#texts = kept
    this.#textsAfterSweep = kept.size
  }

  #keyOf(keyId: string): CachedKey {
    const known = this.keys.get(keyId)
    if (known !== undefined) return known
    const key = new CachedKey(keyId)
    this.keys.set(keyId, key)
    return key
  }
}
