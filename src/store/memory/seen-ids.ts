import { HOUR_MS } from '../../usage/duration.ts'

/** Gateways and queues repeat within a day; an id is remembered for at least 25 hours of event time. */
const GENERATION_MS = 13 * HOUR_MS
const GENERATIONS_KEPT = 3

/** Remembers ids for a bounded span of event time, so that a repeat counts once. */
export class SeenIds {
  #generations: Set<string>[] = [new Set()]
  #endsMs = -Infinity

  /** True when the id is new. `timestampMs` is that of its event; time goes on with the newest. */
  add(id: string, timestampMs: number): boolean {
    if (timestampMs >= this.#endsMs) {
      this.#generations = [new Set<string>(), ...this.#generations].slice(0, GENERATIONS_KEPT)
      this.#endsMs = timestampMs + GENERATION_MS
    }
    for (const generation of this.#generations) if (generation.has(id)) return false
    this.#generations[0]?.add(id)
    return true
  }
}
