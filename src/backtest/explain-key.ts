import type { Config } from '../config/config.ts'
import type { EnrichEvent } from '../enrich/enrich-event.ts'
import type { DetectorFailure } from '../engine/judge.ts'
import { DAY_MS } from '../usage/duration.ts'
import type { UsageEvent } from '../usage/event.ts'
import { Backtest, type BacktestAlert, type KeyExplanation } from './backtest.ts'

export interface ExplainRun {
  readonly config: Config
  /** In order of arrival; those of other keys and those after `atMs` are passed over. */
  readonly events: AsyncIterable<readonly UsageEvent[]>
  readonly enrich: EnrichEvent
  readonly keyId: string
  /** Undefined: at the key's last event. */
  readonly atMs: number | undefined
  readonly onDetectorError: (failure: DetectorFailure) => void
}

export interface ExplainedKey extends KeyExplanation {
  readonly atMs: number
  readonly events: number
  /** Raised in the day before, the last one last. */
  readonly alerts: readonly BacktestAlert[]
}

/** How far back alerts are told: what was raised then may still be open, or have just been resolved. */
const ALERTS_BACK_MS = DAY_MS

/**
 * What every detector says of a key at an instant, by the daemon's engine over the key's events up to it. Undefined when
 * it has none. Detectors judge each key alone, so the events of the others are not needed.
 */
export async function explainKey(run: ExplainRun): Promise<ExplainedKey | undefined> {
  const { keyId, atMs = Infinity } = run
  const alerts: BacktestAlert[] = []
  const backtest = new Backtest({
    config: run.config,
    onAlert: (alert) => alerts.push(alert),
    onDetectorError: run.onDetectorError,
  })
  let events = 0
  let lastMs = -Infinity
  for await (const batch of run.events) {
    for (const event of batch) {
      if (event.keyId !== keyId || event.timestampMs > atMs) continue
      if (!backtest.isReadyFor(event.timestampMs)) await backtest.advanceTo(event.timestampMs)
      if (backtest.add(run.enrich(event))) events += 1
      lastMs = Math.max(lastMs, event.timestampMs)
    }
  }
  if (events === 0) return undefined
  const nowMs = Math.max(Number.isFinite(atMs) ? atMs : lastMs, backtest.nowMs)
  const explained = await backtest.explain(keyId, nowMs)
  if (explained === undefined) return undefined
  return {
    ...explained,
    atMs: nowMs,
    events,
    alerts: alerts.filter(({ at }) => Date.parse(at) > nowMs - ALERTS_BACK_MS),
  }
}
