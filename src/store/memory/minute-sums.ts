import { NO_USAGE, type UsageTotals } from '../../usage/rollup.ts'

/** A row for each minute with usage: its start, and the seven sums of all minutes up to its end. */
const COLUMNS = 8
const ROWS_AT_FIRST = 64

/**
 * Usage of one key by the minute, as running sums in one flat table: the sum of any span is the difference of two rows,
 * and usage of the newest minute, where nearly all events belong, touches one. Counters are exact up to 2^53.
 */
export class MinuteSums {
  #table = new Float64Array(COLUMNS * ROWS_AT_FIRST)
  #rows = 0
  #keepFromMs = -Infinity

  /** Adds usage of the minute that starts at `bucketMs`. */
  add(bucketMs: number, totals: UsageTotals): void {
    const first = this.#rowOf(bucketMs)
    const table = this.#table
    for (let at = first * COLUMNS; at < this.#rows * COLUMNS; at += COLUMNS) {
      table[at + 1] = (table[at + 1] ?? 0) + totals.requests
      table[at + 2] = (table[at + 2] ?? 0) + totals.refused
      table[at + 3] = (table[at + 3] ?? 0) + totals.inputTokens
      table[at + 4] = (table[at + 4] ?? 0) + totals.outputTokens
      table[at + 5] = (table[at + 5] ?? 0) + totals.cachedInputTokens
      table[at + 6] = (table[at + 6] ?? 0) + totals.costNanoUsd
      table[at + 7] = (table[at + 7] ?? 0) + totals.unpriced
    }
  }

  /** The sum of the minutes that start from `fromMs` to `toMs`; valid until the next `add`. */
  between(fromMs: number, toMs: number): UsageTotals {
    let end = this.#rows - 1
    while (end >= 0 && (this.#table[end * COLUMNS] ?? 0) > toMs) end -= 1
    const start = this.#lastBefore(fromMs, end)
    if (start === end) return NO_USAGE
    return new Span(this.#table, start * COLUMNS, end * COLUMNS)
  }

  /** Allows to forget the minutes that start before the instant. */
  prune(keepFromMs: number): void {
    this.#keepFromMs = keepFromMs
  }

  /** The last row up to `end` that starts before the instant; -1 when there is none. */
  #lastBefore(fromMs: number, end: number): number {
    let low = -1
    let high = end
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#table[middle * COLUMNS] ?? 0) < fromMs) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The row of a minute, made when there is none; events come in nearly the order of time, so it is near the end. */
  #rowOf(bucketMs: number): number {
    let row = this.#rows - 1
    while (row >= 0 && (this.#table[row * COLUMNS] ?? 0) > bucketMs) row -= 1
    if (row >= 0 && this.#table[row * COLUMNS] === bucketMs) return row
    if ((this.#rows + 1) * COLUMNS > this.#table.length) return this.#makeRoom(bucketMs)
    const at = (row + 1) * COLUMNS
    this.#table.copyWithin(at + COLUMNS, at, this.#rows * COLUMNS)
    if (row < 0) this.#table.fill(0, at, at + COLUMNS)
    else this.#table.copyWithin(at, row * COLUMNS, row * COLUMNS + COLUMNS)
    this.#table[at] = bucketMs
    this.#rows += 1
    return row + 1
  }

  /** Forgets the minutes that nobody asks for any more, and doubles the table when that does not free half of it. */
  #makeRoom(bucketMs: number): number {
    const forgotten = this.#lastBefore(this.#keepFromMs, this.#rows - 1)
    const old = this.#table
    const base = old.slice(forgotten * COLUMNS, forgotten * COLUMNS + COLUMNS)
    const kept = this.#rows - 1 - forgotten
    if (2 * kept > this.#rows) this.#table = new Float64Array(2 * old.length)
    this.#table.set(old.subarray((forgotten + 1) * COLUMNS, this.#rows * COLUMNS))
    this.#rows = kept
    if (forgotten >= 0) this.#rebase(base)
    return this.#rowOf(bucketMs)
  }

  /** Takes what was forgotten out of the running sums, so that they stay small. */
  #rebase(base: Float64Array): void {
    for (let at = 0; at < this.#rows * COLUMNS; at += COLUMNS) {
      for (let column = 1; column < COLUMNS; column += 1)
        this.#table[at + column] = (this.#table[at + column] ?? 0) - (base[column] ?? 0)
    }
  }
}

/** The difference of two rows. Whoever asks wants one sum or two, and most are asked for a moment. */
class Span implements UsageTotals {
  private readonly table: Float64Array
  /** Where the row before the first starts, below 0 when there is none, and where the last one does. */
  private readonly before: number
  private readonly last: number

  constructor(table: Float64Array, before: number, last: number) {
    this.table = table
    this.before = before
    this.last = last
  }

  get requests(): number {
    return this.sum(1)
  }

  get refused(): number {
    return this.sum(2)
  }

  get inputTokens(): number {
    return this.sum(3)
  }

  get outputTokens(): number {
    return this.sum(4)
  }

  get cachedInputTokens(): number {
    return this.sum(5)
  }

  get costNanoUsd(): number {
    return this.sum(6)
  }

  get unpriced(): number {
    return this.sum(7)
  }

  private sum(column: number): number {
    const before = this.before < 0 ? 0 : (this.table[this.before + column] ?? 0)
    return (this.table[this.last + column] ?? 0) - before
  }
}
