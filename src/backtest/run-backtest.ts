import type { Config } from '../config/config.ts'
import { LEARN_DELAY_MS } from '../detect/profile.ts'
import type { EnrichEvent } from '../enrich/enrich-event.ts'
import type { DetectorFailure } from '../engine/tick.ts'
import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import type { UsageEvent } from '../usage/event.ts'
import { bucketStart } from '../usage/rollup.ts'
import { Backtest, type BacktestAlert } from './backtest.ts'

export interface BacktestRun {
  readonly config: Config
  /** Batches of events in the order in which they arrived. */
  readonly events: AsyncIterable<readonly UsageEvent[]>
  readonly enrich: EnrichEvent
  /** Alerts before `fromMs` are not told; everything before it is learnt from. Events from `toMs` on are not read. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  readonly onAlert: (alert: BacktestAlert) => void
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
  readonly keys: number
  /** Days that keys were observed, from the first to the last event of each, a day at least: what rates are per. */
  readonly keyDays: number
}

/** Runs the daemon's engine over past events; event time is the clock. */
export async function runBacktest(run: BacktestRun): Promise<BacktestSummary> {
  const { fromMs = -Infinity, toMs = Infinity } = run
  const backtest = new Backtest({
    config: run.config,
    onAlert: (alert) => {
      const atMs = Date.parse(alert.at)
      if (atMs >= fromMs && atMs < toMs) run.onAlert(alert)
    },
    onDetectorError: run.onDetectorError,
  })
  const observed = new Observed(fromMs)
  for await (const batch of run.events) {
    for (const event of batch) {
      if (event.timestampMs >= toMs) continue
      // No await where none is needed: most events of a busy fleet fall between two ticks.
      if (!backtest.isReadyFor(event.timestampMs)) await backtest.advanceTo(event.timestampMs)
      observed.add(event, { isNew: backtest.add(run.enrich(event)), nowMs: backtest.nowMs })
    }
  }
  await backtest.end()
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
    const days = [...this.#spans.values()].map(({ firstMs, lastMs }) =>
      Math.max(1, (lastMs - firstMs) / DAY_MS),
    )
    return {
      events: this.#events,
      duplicates: this.#duplicates,
      late: this.#late,
      firstEventMs: Number.isFinite(this.#firstMs) ? this.#firstMs : undefined,
      lastEventMs: Number.isFinite(this.#lastMs) ? this.#lastMs : undefined,
      keys: this.#spans.size,
      keyDays: days.reduce((sum, value) => sum + value, 0),
    }
  }
}
