/** A list that tests wait on: resolves when enough has arrived, instead of sleeping and looking. */
export class Arrivals<T> {
  readonly all: T[] = []
  readonly #what: string
  readonly #waiting = new Set<() => void>()

  constructor(what: string) {
    this.#what = what
  }

  add(item: T): void {
    this.all.push(item)
    for (const check of this.#waiting) check()
  }

  waitFor(count: number, timeoutMs = 20_000): Promise<readonly T[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check)
        reject(
          new Error(`${this.all.length} ${this.#what} arrived within ${timeoutMs} ms; expected ${count}`),
        )
      }, timeoutMs)
      const check = () => {
        if (this.all.length < count) return
        clearTimeout(timer)
        this.#waiting.delete(check)
        resolve(this.all)
      }
      this.#waiting.add(check)
      check()
    })
  }
}
