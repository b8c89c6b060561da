import type { UsageEvent } from '../usage/event.ts'

/** Reads stored raw events back, for `backtest --events db`. */
export interface EventReader {
  /**
   * The events with `fromMs <= timestampMs < toMs` in order of (timestampMs, id), read in batches so that memory stays
   * bounded whatever the range; those of one key where it is named. Costs that came from the price list are given as
   * stored.
   */
  streamEvents(range: {
    readonly fromMs: number
    readonly toMs: number
    readonly keyId?: string | undefined
  }): AsyncIterable<StoredEvent>
}

/** A raw event as it was stored: what the gateway sent, with the price that was known then. */
export interface StoredEvent extends UsageEvent {
  readonly costEstimated: boolean
}
