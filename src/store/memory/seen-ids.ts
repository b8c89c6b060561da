import { HOUR_MS } from '../../usage/duration.ts'

/** Gateways and queues repeat within a day; an id is remembered for at least 25 hours of event time. */
const GENERATION_MS = 13 * HOUR_MS
const GENERATIONS_KEPT = 3

/** Remembers ids for a bounded span of event time, so that a repeat counts once. */
export class SeenIds {
  #newest = new Set<string>()
  #older: readonly Set<string>[] = []
  #endsMs = -Infinity

  /** True when the id is new. `timestampMs` is that of its event; time goes on with the newest. */
  add(id: string, timestampMs: number): boolean {
    if (timestampMs >= this.#endsMs) {
      this.#older = [this.#newest, ...this.#older].slice(0, GENERATIONS_KEPT - 1)
      this.#newest = new Set()
      this.#endsMs = timestampMs + GENERATION_MS
    }
    for (const generation of this.#older) if (generation.has(id)) return false
    const before = this.#newest.size
    return this.#newest.add(id).size > before
  }
}
