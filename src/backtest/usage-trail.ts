import { expectedVolume, requestScale } from '../detect/expected-volume.ts'
import type { Profile } from '../detect/profile.ts'
import { overdispersedQuantile } from '../detect/statistics.ts'
import { HOUR_MS } from '../usage/duration.ts'
import { NANO_USD_PER_USD, type EnrichedEvent } from '../usage/event.ts'
import { bucketStart, totalsOf } from '../usage/rollup.ts'
import type { BacktestAlert } from './backtest.ts'

export type ChartMetric = 'requests' | 'tokens' | 'cost_usd'

/** The usage around an alert, hour by hour, and what was usual as the profile knew it when the alert was raised. */
export interface AlertChart {
  readonly metric: ChartMetric
  readonly atMs: number
  readonly hours: readonly ChartHour[]
}

export interface ChartHour {
  readonly hourMs: number
  readonly amount: number
  /** The range that holds 95 % of such hours; undefined while nothing is known. */
  readonly usual: { readonly low: number; readonly high: number } | undefined
}

const HOURS_BEFORE = 48
const HOURS_AFTER = 12
/** Bounds memory when a configuration raises everything. Each takes a kilobyte or two. */
const CHARTS_MAX = 5_000

interface Hour {
  readonly hourMs: number
  requests: number
  tokens: number
  costNanoUsd: number
}
interface Drawn {
  readonly alert: BacktestAlert
  readonly metric: ChartMetric
  readonly atMs: number
  readonly usual: readonly ChartHour['usual'][]
  readonly hours: Hour[]
}

/**
 * Keeps the last two days of every key by the hour, so that an alert can be drawn with what came before it and, as
 * the events go on, after it. Memory is bounded by keys and by CHARTS_MAX alerts.
 */
export class UsageTrail {
  readonly #hours = new Map<string, Hour[]>()
  /** Charts that still wait for hours after their alert. */
  readonly #growing = new Map<string, Drawn[]>()
  readonly #drawn = new Map<BacktestAlert, Drawn>()

  add(event: EnrichedEvent): void {
    const { inputTokens, outputTokens, requests, refused, costNanoUsd } = totalsOf(event)
    const hour = this.#hourOf(event.keyId, bucketStart(event.timestampMs, HOUR_MS))
    hour.requests += requests - refused
    hour.tokens += inputTokens + outputTokens
    hour.costNanoUsd += costNanoUsd
  }

  /** An alert was raised. */
  mark(
    alert: BacktestAlert,
    { nowMs, profile }: { readonly nowMs: number; readonly profile: Profile | undefined },
  ): void {
    if (this.#drawn.size >= CHARTS_MAX) return
    const metric = metricOf(alert)
    const drawn: Drawn = {
      alert,
      metric,
      atMs: nowMs,
      usual: hoursAround(nowMs).map((hourMs) =>
        profile === undefined ? undefined : usualOf(profile, metric, hourMs),
      ),
      hours: [...(this.#hours.get(alert.key_id) ?? [])],
    }
    this.#drawn.set(alert, drawn)
    const growing = this.#growing.get(alert.key_id)
    if (growing === undefined) this.#growing.set(alert.key_id, [drawn])
    else growing.push(drawn)
  }

  /** The chart of an alert that was marked; undefined when there were too many. */
  chartOf(alert: BacktestAlert): AlertChart | undefined {
    const drawn = this.#drawn.get(alert)
    if (drawn === undefined) return undefined
    const { metric, atMs, usual } = drawn
    const byHour = new Map(drawn.hours.map((hour) => [hour.hourMs, hour]))
    return {
      metric,
      atMs,
      hours: hoursAround(atMs).map((hourMs, index) => ({
        hourMs,
        amount: amountOf(byHour.get(hourMs), metric),
        usual: usual[index],
      })),
    }
  }

  #hourOf(keyId: string, hourMs: number): Hour {
    let hours = this.#hours.get(keyId)
    if (hours === undefined) {
      hours = []
      this.#hours.set(keyId, hours)
    }
    const known = hours.findLast((hour) => hour.hourMs === hourMs)
    if (known !== undefined) return known
    const hour = { hourMs, requests: 0, tokens: 0, costNanoUsd: 0 }
    hours.push(hour)
    while ((hours[0]?.hourMs ?? hourMs) < hourMs - HOURS_BEFORE * HOUR_MS) hours.shift()
    this.#grow(keyId, hour)
    return hour
  }

  #grow(keyId: string, hour: Hour): void {
    const growing = this.#growing.get(keyId)
    if (growing === undefined) return
    const open = growing.filter(({ atMs }) => hour.hourMs <= atMs + HOURS_AFTER * HOUR_MS)
    for (const drawn of open) drawn.hours.push(hour)
    if (open.length === 0) this.#growing.delete(keyId)
    else if (open.length < growing.length) this.#growing.set(keyId, open)
  }
}

function hoursAround(atMs: number): number[] {
  const firstMs = bucketStart(atMs, HOUR_MS) - HOURS_BEFORE * HOUR_MS
  return Array.from({ length: HOURS_BEFORE + HOURS_AFTER + 1 }, (_, index) => firstMs + index * HOUR_MS)
}

/** What an alert is about decides what is drawn; countries, models and hours are drawn as requests. */
function metricOf({ detector, evidence }: BacktestAlert): ChartMetric {
  if (evidence.metric === 'tokens') return 'tokens'
  return evidence.metric.startsWith('cost') || detector === 'spend_threshold' ? 'cost_usd' : 'requests'
}

function amountOf(hour: Hour | undefined, metric: ChartMetric): number {
  if (hour === undefined) return 0
  if (metric === 'requests') return hour.requests
  return metric === 'tokens' ? hour.tokens : hour.costNanoUsd / NANO_USD_PER_USD
}

function usualOf(profile: Profile, metric: ChartMetric, hourMs: number): ChartHour['usual'] {
  const { mean, size } = expectedVolume(profile, hourMs, hourMs + HOUR_MS)
  if (metric === 'requests') return rangeOf(mean, size, 1)
  const request = requestScale(metric === 'tokens' ? profile.volume.tokens : profile.volume.costNanoUsd)
  if (request === undefined) return undefined
  const unit = metric === 'cost_usd' ? NANO_USD_PER_USD : 1
  return rangeOf((mean * request.mean) / request.scale, size, request.scale / unit)
}

function rangeOf(mean: number, size: number, unit: number): ChartHour['usual'] {
  return {
    low: overdispersedQuantile(0.975, mean, size) * unit,
    high: overdispersedQuantile(0.025, mean, size) * unit,
  }
}
