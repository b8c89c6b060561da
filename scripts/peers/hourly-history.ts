import { HOUR_MS, PerKey, type PeerEvent } from './peer.ts'

/** Requests of a key by the clock's hour: the closed hours, the hour that runs, and the key's age. */
export interface HourlyHistory {
  readonly firstHour: number
  /** Requests of each hour since the first; hours without any are 0. */
  readonly counts: readonly number[]
  readonly current: number
}

/** Counts requests by key and hour. */
export class HourlyCounts {
  readonly #keys = new PerKey(({ atMs }) => ({
    firstHour: Math.floor(atMs / HOUR_MS),
    counts: [] as number[],
    current: 0,
  }))

  add(event: PeerEvent): HourlyHistory {
    const state = this.#keys.of(event)
    const index = Math.floor(event.atMs / HOUR_MS) - state.firstHour
    if (index > state.counts.length) {
      state.counts.push(state.current)
      while (state.counts.length < index) state.counts.push(0)
      state.current = 0
    }
    if (!event.refused) state.current += 1
    return state
  }
}
