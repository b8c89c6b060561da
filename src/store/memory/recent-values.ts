/** More values than this are not told apart: whoever asks then looks for himself. */
const VALUES_MAX = 24

interface Entry<Value> {
  readonly value: Value
  lastMs: number
}

/** The distinct values of late, and perhaps some of a while ago: few, or `undefined`. */
export class RecentValues<Value> {
  readonly #isSame: (a: Value, b: Value) => boolean
  #entries: Entry<Value>[] = []
  /** The one that came last: most come several times in a row. */
  #newest: Entry<Value> | undefined
  #values: readonly Value[] = []
  /** When there were too many; the values are complete again once all that was not kept is out of sight. */
  #overflowMs = -Infinity

  constructor(isSame: (a: Value, b: Value) => boolean) {
    this.#isSame = isSame
  }

  /** All values since the last `prune`, or more; undefined when they are too many. */
  get values(): readonly Value[] | undefined {
    return this.#overflowMs === -Infinity ? this.#values : undefined
  }

  /** True when `values` did not hold the value. */
  add(value: Value, atMs: number): boolean {
    let known = this.#newest
    if (known === undefined || !this.#isSame(known.value, value))
      known = this.#entries.find((entry) => this.#isSame(entry.value, value))
    if (known !== undefined) {
      this.#newest = known
      if (atMs > known.lastMs) known.lastMs = atMs
      return false
    }
    if (this.#entries.length >= VALUES_MAX) {
      this.#overflowMs = Math.max(this.#overflowMs, atMs)
      return true
    }
    this.#entries.push({ value, lastMs: atMs })
    this.#values = this.#entries.map((entry) => entry.value)
    return true
  }

  /** Forgets what was last seen before the instant. */
  prune(keepFromMs: number): void {
    if (this.#overflowMs < keepFromMs) this.#overflowMs = -Infinity
    if (this.#entries.every(({ lastMs }) => lastMs >= keepFromMs)) return
    this.#entries = this.#entries.filter(({ lastMs }) => lastMs >= keepFromMs)
    this.#newest = undefined
    this.#values = this.#entries.map((entry) => entry.value)
  }
}
