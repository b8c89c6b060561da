/** Seeded random numbers, so that a demo tells the same story every time. mulberry32 by Tommy Ettinger, public domain. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** Uniform integer in [from, to]. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1))
  }

  /** Poisson-distributed count with the given mean, by counting exponential gaps. */
  count(mean: number): number {
    let sum = 0
    for (let events = 0; ; events += 1) {
      sum -= Math.log(1 - this.next())
      if (sum > mean) return events
    }
  }

  /** One of the items, each as likely. The list must not be empty. */
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.integer(0, items.length - 1)]
    if (item === undefined) throw new RangeError('pick: the list is empty')
    return item
  }
}
