const ROWS_AT_FIRST = 4

/**
 * Rows of numbers in one flat array, ascending by their first number, the start of a bucket. The numbers up to
 * `identity` say which row it is; a row that comes again replaces the one of the same identity. A row takes 8 bytes a
 * number, a tenth of what an object with the same fields takes.
 */
export class RowTable {
  readonly #width: number
  readonly #identity: number
  #table: Float64Array
  #rows = 0

  constructor({ width, identity }: { readonly width: number; readonly identity: number }) {
    this.#width = width
    this.#identity = identity
    this.#table = new Float64Array(width * ROWS_AT_FIRST)
  }

  get rows(): number {
    return this.#rows
  }

  at(row: number, column: number): number {
    return this.#table[row * this.#width + column] ?? Number.NaN
  }

  /** Puts a row in its place; false when it was there, number for number. */
  put(row: ArrayLike<number>): boolean {
    const bucketMs = row[0] ?? Number.NaN
    let at = this.#rows - 1
    // What comes is nearly always new or near the end.
    for (; at >= 0 && this.at(at, 0) >= bucketMs; at -= 1) {
      if (!this.#isSame(at, row, this.#identity)) continue
      if (this.#isSame(at, row, this.#width)) return false
      this.#table.set(row, at * this.#width)
      return true
    }
    this.#insert(at + 1, row)
    return true
  }

  /** True when a row from `fromMs` on has the same numbers in the columns from `first` up to, not with, `end`. */
  hasAlike(row: ArrayLike<number>, first: number, end: number, fromMs: number): boolean {
    // What comes is nearly always like the newest.
    for (let at = this.#rows - 1; at >= 0 && this.at(at, 0) >= fromMs; at -= 1) {
      let column = first
      while (column < end && Object.is(this.at(at, column), row[column])) column += 1
      if (column === end) return true
    }
    return false
  }

  /** Forgets rows of buckets that start before the instant, and gives back what they took. */
  prune(fromMs: number): void {
    let first = 0
    while (first < this.#rows && this.at(first, 0) < fromMs) first += 1
    if (first === 0) return
    const kept = this.#rows - first
    const old = this.#table.subarray(first * this.#width, this.#rows * this.#width)
    if (2 * kept > this.#rows) this.#table.copyWithin(0, first * this.#width, this.#rows * this.#width)
    else {
      this.#table = new Float64Array(this.#width * Math.max(ROWS_AT_FIRST, kept))
      this.#table.set(old)
    }
    this.#rows = kept
  }

  /** Changes the numbers of a column. */
  renumber(column: number, to: (number: number) => number): void {
    for (let at = column; at < this.#rows * this.#width; at += this.#width)
      this.#table[at] = to(this.#table[at] ?? Number.NaN)
  }

  #isSame(at: number, row: ArrayLike<number>, columns: number): boolean {
    for (let column = 0; column < columns; column += 1) {
      // Object.is, because what is not known is NaN.
      if (!Object.is(this.at(at, column), row[column])) return false
    }
    return true
  }

  #insert(at: number, row: ArrayLike<number>): void {
    const width = this.#width
    if ((this.#rows + 1) * width > this.#table.length) {
      const grown = new Float64Array(Math.ceil(this.#rows * 1.5 + 1) * width)
      grown.set(this.#table.subarray(0, this.#rows * width))
      this.#table = grown
    }
    if (at < this.#rows) this.#table.copyWithin((at + 1) * width, at * width, this.#rows * width)
    this.#table.set(row, at * width)
    this.#rows += 1
  }
}
