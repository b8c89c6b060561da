import type { Config } from '../config/config.ts'
import { LEARN_DELAY_MS } from '../detect/profile.ts'
import type { EnrichEvent } from '../enrich/enrich-event.ts'
import type { DetectorFailure } from '../engine/judge.ts'
import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import type { EnrichedEvent, UsageEvent } from '../usage/event.ts'
import { bucketStart } from '../usage/rollup.ts'
import { Backtest, type OnAlert } from './backtest.ts'

export interface BacktestRun {
  /** The configurations that are tried on the same events, read once. */
  readonly sides: readonly BacktestSide[]
  /** Batches of events in the order in which they arrived. */
  readonly events: AsyncIterable<readonly UsageEvent[]>
  readonly enrich: EnrichEvent
  /** Alerts before `fromMs` are not told; everything before it is learnt from. Events from `toMs` on are not read. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Every event that counts, before it is judged: for whoever draws the usage. */
  readonly onEvent?: ((event: EnrichedEvent) => void) | undefined
}

export interface BacktestSide {
  readonly config: Config
  readonly onAlert: OnAlert
  readonly onDetectorError: (failure: DetectorFailure) => void
}

/** What a backtest went through. Counts are of the whole history, days and keys of the span that was asked for. */
export interface BacktestSummary {
  readonly events: number
  readonly duplicates: number
  /** Events of an hour that had been learnt: counted, not taught. Many mean that the file is not in order of time. */
  readonly late: number
  readonly firstEventMs: number | undefined
  readonly lastEventMs: number | undefined
  /** First and last event of each key. */
  readonly spans: ReadonlyMap<string, KeySpan>
}

export interface KeySpan {
  readonly firstMs: number
  readonly lastMs: number
}

/** Days that a key was observed, a day at least: what rates are per. */
export function daysOf({ firstMs, lastMs }: KeySpan): number {
  return Math.max(1, (lastMs - firstMs) / DAY_MS)
}

/** Runs the daemon's engine over past events, once per side; event time is the clock. */
export async function runBacktest(run: BacktestRun): Promise<BacktestSummary> {
  const { fromMs = -Infinity, toMs = Infinity } = run
  const backtests = run.sides.map(
    ({ config, onAlert, onDetectorError }) =>
      new Backtest({
        config,
        onAlert: (alert, context) => {
          if (context.nowMs >= fromMs && context.nowMs < toMs) onAlert(alert, context)
        },
        onDetectorError,
      }),
  )
  const observed = new Observed(fromMs)
  for await (const batch of run.events) {
    for (const event of batch) {
      if (event.timestampMs >= toMs) continue
      const enriched = run.enrich(event)
      let isNew = false
      let nowMs = 0
      for (const backtest of backtests) {
        // No await where none is needed: most events of a busy fleet fall between two ticks.
        if (!backtest.isReadyFor(event.timestampMs)) await backtest.advanceTo(event.timestampMs)
        isNew = backtest.add(enriched)
        nowMs = backtest.nowMs
      }
      if (isNew) run.onEvent?.(enriched)
      observed.add(event, { isNew, nowMs })
    }
  }
  for (const backtest of backtests) await backtest.end()
  return observed.summary()
}

class Observed {
  readonly #fromMs: number
  readonly #spans = new Map<string, { firstMs: number; lastMs: number }>()
  #events = 0
  #duplicates = 0
  #late = 0
  #firstMs = Infinity
  #lastMs = -Infinity

  constructor(fromMs: number) {
    this.#fromMs = fromMs
  }

  add(
    { keyId, timestampMs }: UsageEvent,
    { isNew, nowMs }: { readonly isNew: boolean; readonly nowMs: number },
  ): void {
    this.#events += 1
    if (!isNew) {
      this.#duplicates += 1
      return
    }
    if (timestampMs < bucketStart(nowMs - LEARN_DELAY_MS, HOUR_MS)) this.#late += 1
    this.#firstMs = Math.min(this.#firstMs, timestampMs)
    this.#lastMs = Math.max(this.#lastMs, timestampMs)
    if (timestampMs < this.#fromMs) return
    const span = this.#spans.get(keyId)
    if (span === undefined) this.#spans.set(keyId, { firstMs: timestampMs, lastMs: timestampMs })
    else if (timestampMs > span.lastMs) span.lastMs = timestampMs
    else if (timestampMs < span.firstMs) span.firstMs = timestampMs
  }

  summary(): BacktestSummary {
    return {
      events: this.#events,
      duplicates: this.#duplicates,
      late: this.#late,
      firstEventMs: Number.isFinite(this.#firstMs) ? this.#firstMs : undefined,
      lastEventMs: Number.isFinite(this.#lastMs) ? this.#lastMs : undefined,
      spans: this.#spans,
    }
  }
}
