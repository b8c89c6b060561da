import { HOUR_MS } from '../../usage/duration.ts'

/** Gateways and queues repeat within a day; an id is remembered for at least 25 hours of event time, for the newest and the one before. */
const GENERATION_MS = 25 * HOUR_MS

/** Remembers ids for a bounded span of event time, so that a repeat counts once. */
export class SeenIds {
  #newest = new Set<string>()
  #older = new Set<string>()
  #endsMs = -Infinity

  /** True when the id is new. `timestampMs` is that of its event; time goes on with the newest. */
  add(id: string, timestampMs: number): boolean {
    if (timestampMs >= this.#endsMs) {
      this.#older = this.#newest
      this.#newest = new Set()
      this.#endsMs = timestampMs + GENERATION_MS
    }
    if (this.#older.has(id)) return false
    const before = this.#newest.size
    return this.#newest.add(id).size > before
  }
}
