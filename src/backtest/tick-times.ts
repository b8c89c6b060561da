import { LEARN_DELAY_MS } from '../detect/profile.ts'
import { ACTIVE_MS } from '../engine/tick.ts'
import { HOUR_MS } from '../usage/duration.ts'
import { bucketStart } from '../usage/rollup.ts'

/** What tells when a tick could change something. */
export interface FleetState {
  /** When an open alert will have been quiet for long enough; Infinity when none is open. */
  readonly nextResolveMs: number
  /** The newest minute with usage of a key with an open alert; -Infinity when there is none. */
  readonly lastUseUnderAlertMs: number
}

/**
 * Chooses, of the daemon's tick times (every `tickMs` of event time), those at which something can happen: after new
 * events, while keys under alert are active, when an hour of the clock begins or is learnt, when an alert is due to be
 * resolved. At all others the daemon's tick would change nothing.
 */
export class TickTimes {
  readonly #tickMs: number
  #lastTickMs = -Infinity
  #newestMs = -Infinity
  #pendingMs = Infinity

  constructor(tickMs: number) {
    this.#tickMs = tickMs
  }

  /** An event was added. Returns the tick that judges it: the first that is not before it and has not been. */
  eventAt(timestampMs: number): number {
    this.#newestMs = Math.max(this.#newestMs, timestampMs)
    if (this.#pendingMs === Infinity) this.#pendingMs = this.#tickAt(this.#newestMs)
    return this.#pendingMs
  }

  /** The next tick time; Infinity when nothing more will happen without events. */
  next({ nextResolveMs, lastUseUnderAlertMs }: FleetState): number {
    const afterLast = this.#lastTickMs + this.#tickMs
    const isUnderWatch = afterLast - ACTIVE_MS <= lastUseUnderAlertMs
    return Math.min(
      this.#pendingMs,
      this.#tickAt(nextResolveMs),
      isUnderWatch ? afterLast : Infinity,
      this.#turnOfHour(0),
      this.#turnOfHour(LEARN_DELAY_MS),
    )
  }

  ticked(nowMs: number): void {
    this.#lastTickMs = nowMs
    this.#pendingMs = Infinity
  }

  /** The first tick at or after the instant, and after the last one. */
  #tickAt(atMs: number): number {
    return Math.max(Math.ceil(atMs / this.#tickMs) * this.#tickMs, this.#lastTickMs + this.#tickMs)
  }

  /** The first tick since the last one that is `delayMs` or more into an hour, if keys are active then. */
  #turnOfHour(delayMs: number): number {
    if (this.#lastTickMs === -Infinity) return Infinity
    const turnMs = this.#tickAt(bucketStart(this.#lastTickMs - delayMs, HOUR_MS) + HOUR_MS + delayMs)
    return turnMs - ACTIVE_MS <= this.#newestMs ? turnMs : Infinity
  }
}
