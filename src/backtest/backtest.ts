import { ManualClock } from '../clock.ts'
import { tickSettings } from '../config/tick-settings.ts'
import type { Config } from '../config/config.ts'
import { explain, type Explanation } from '../detect/explain.ts'
import { priorFor } from '../detect/prior.ts'
import type { Profile } from '../detect/profile.ts'
import { DETECTORS } from '../detect/registry.ts'
import type { DetectorName, Evidence, Severity } from '../detect/finding.ts'
import { priorsAt } from '../engine/priors.ts'
import { emptyProfileOf, type DetectorFailure } from '../engine/judge.ts'
import { tick, type TickEngine } from '../engine/tick.ts'
import type { Alert } from '../alert/alert.ts'
import { MemoryEngineStore } from '../store/memory/engine-store.ts'
import type { EnrichedEvent } from '../usage/event.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { TickTimes } from './tick-times.ts'

/** An alert that the daemon would have opened, or raised in severity, at `at` (the tick's time). */
export interface BacktestAlert {
  readonly detector: DetectorName
  readonly key_id: string
  readonly at: string
  readonly severity: Severity
  readonly summary: string
  readonly evidence: Evidence
}

/** What the engine knew when it raised an alert. */
export interface AlertContext {
  readonly nowMs: number
  /** Undefined while nothing has been learnt of the key. */
  readonly profile: Profile | undefined
}
export type OnAlert = (alert: BacktestAlert, context: AlertContext) => void

export interface BacktestOptions {
  readonly config: Config
  readonly onAlert: OnAlert
  readonly onDetectorError: (failure: DetectorFailure) => void
}

/** A key as a tick saw it, and what each detector made of it. */
export interface KeyExplanation {
  readonly usage: KeyUsage
  readonly profile: Profile
  readonly explanations: readonly Explanation[]
}

const WHOLE_FLEET = { index: 0, count: 1 } as const

/**
 * The daemon's engine over past events: the same ticks, profiles and alerts, with memory for Postgres and event time for
 * the clock. Feed it events in the order in which they arrived; what it says at a time depends on nothing later.
 */
export class Backtest {
  readonly #store = new MemoryEngineStore()
  readonly #clock = new ManualClock(0)
  readonly #times: TickTimes
  readonly #engine: TickEngine
  readonly #onAlert: BacktestOptions['onAlert']
  #nextTickMs = Infinity

  constructor({ config, onAlert, onDetectorError }: BacktestOptions) {
    this.#times = new TickTimes(config.schedule.tickMs)
    this.#onAlert = onAlert
    this.#engine = {
      store: this.#store,
      detectors: DETECTORS,
      ...tickSettings(config, () => this.#clock.nowMs()),
      onDetectorError,
    }
  }

  /** The instant of the last tick. */
  get nowMs(): number {
    return this.#clock.nowMs()
  }

  /**
   * True when no tick is left to be run before an instant, so that an event of that time can be added. Ticks that would do
   * nothing are over with the question: nearly always all of them, and then nothing has to be awaited.
   */
  isReadyFor(timestampMs: number): boolean {
    while (this.#nextTickMs < timestampMs) if (!this.#passes(this.#nextTickMs)) return false
    return true
  }

  /** Runs the ticks that are due before an event of that time. */
  async advanceTo(timestampMs: number): Promise<void> {
    while (!this.isReadyFor(timestampMs)) await this.#tick(this.#nextTickMs)
  }

  /** Adds an event that isReadyFor its time; false when its id was there before. */
  add(event: EnrichedEvent): boolean {
    if (!this.#store.add(event)) return false
    this.#nextTickMs = Math.min(this.#nextTickMs, this.#times.eventAt(event.timestampMs))
    return true
  }

  /** Runs the tick that judges the last events. */
  async end(): Promise<void> {
    if (this.#nextTickMs < Infinity) await this.#tick(this.#nextTickMs)
  }

  /**
   * What every detector says of a key at an instant, after a tick at it. The instant must not be before the last tick.
   * Undefined when the key has no usage up to then.
   */
  async explain(keyId: string, nowMs: number): Promise<KeyExplanation | undefined> {
    await this.advanceTo(nowMs)
    await this.#tick(nowMs)
    const usage = this.#store.usageOf(keyId, nowMs)
    if (usage === undefined) return undefined
    const profile = this.#store.profiles([keyId]).get(keyId) ?? emptyProfileOf(this.#engine, usage, nowMs)
    const priors = await priorsAt(this.#engine.store, nowMs)
    const { sites } = priors
    const prior = priorFor(priors, {
      ...usage.key,
      firstSeenMs: profile.firstSeenMs,
    })
    return {
      usage,
      profile,
      explanations: explain(
        { usage, profile, prior, sites, nowMs },
        DETECTORS,
        this.#engine.settingsFor(usage.key),
      ),
    }
  }

  async #tick(nowMs: number): Promise<void> {
    this.#clock.set(nowMs)
    const { opened, escalated } = await tick(this.#engine, { shard: WHOLE_FLEET, nowMs })
    if (opened.length + escalated.length > 0) this.#tell([...opened, ...escalated], nowMs)
    this.#ticked(nowMs)
  }

  /** True when the tick at `nowMs` would do nothing, and is over with that. Nearly always so. */
  #passes(nowMs: number): boolean {
    if (!this.#store.passes(WHOLE_FLEET, nowMs)) return false
    this.#clock.set(nowMs)
    this.#ticked(nowMs)
    return true
  }

  #ticked(nowMs: number): void {
    this.#times.ticked(nowMs)
    this.#nextTickMs = this.#next()
  }

  #tell(alerts: readonly Alert[], nowMs: number): void {
    const raised = alerts.toSorted(byKeyAndDetector)
    const profiles = this.#store.profiles(raised.map(({ keyId }) => keyId))
    for (const alert of raised)
      this.#onAlert(toBacktestAlert(alert, nowMs), { nowMs, profile: profiles.get(alert.keyId) })
  }

  #next(): number {
    return this.#times.next({
      nextResolveMs: this.#store.nextQuietMs(this.#engine.resolveAfterMs),
      lastUseUnderAlertMs: this.#store.lastUseUnderAlertMs(),
    })
  }
}

function toBacktestAlert(
  { detector, keyId, severity, summary, evidence }: Alert,
  nowMs: number,
): BacktestAlert {
  return { detector, key_id: keyId, at: new Date(nowMs).toISOString(), severity, summary, evidence }
}

function byKeyAndDetector(a: Alert, b: Alert): number {
  return order(a.keyId, b.keyId) || order(a.detector, b.detector) || order(a.scope, b.scope)
}

function order(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
