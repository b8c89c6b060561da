import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { rollupsWithin, sumRollups, type KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type Rollup, type UsageTotals } from '../usage/rollup.ts'
import { expectedVolume, requestScale, spreadOf, type ExpectedVolume } from './expected-volume.ts'
import type { Profile } from './profile.ts'
import { logOverdispersedTail, overdispersedQuantile } from './statistics.ts'

export type VolumeMetric = 'requests' | 'tokens' | 'cost'

/** One metric in one window that is far above what is usual. Amounts are requests, tokens or nano-USD. */
export interface Excess {
  readonly metric: VolumeMetric
  readonly windowMs: number
  readonly observed: number
  /** Mean and 95 % range of what is usual. */
  readonly usual: number
  readonly low: number
  readonly high: number
  /** ln of the chance of so much, or more, by habit. */
  readonly logChance: number
}

/** How unlikely, how far above the usual, and how much a window must be: all three. */
export interface VolumeThresholds {
  readonly logChance: number
  /** Successful requests; tokens and cost count as so many usual requests. */
  readonly minRequests: number
}

// The least effect worth an alert, whatever the chance: large keys make small deviations certain.
const RATIO_MIN_SHORT = 2.5
const RATIO_MIN_HOUR = 2.2
const SHORT_WINDOW_MS = 10 * MINUTE_MS
/** A bursty key must exceed its own fading peak by this much: its bursts are not chance, whatever the model says. */
const PEAK_GUARD = 1.3
const BURSTY_SPREAD = 1 / 1.5
/** Sizes vary without bound, so totals of tokens and cost need a handful of requests. */
const SIZED_REQUESTS_MIN = 5

/** The excesses of the windows over what is usual, the least likely first. */
export function volumeExcesses(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  { metrics, windows }: { readonly metrics: readonly VolumeMetric[]; readonly windows: readonly number[] },
  thresholds: VolumeThresholds,
): Excess[] {
  const excesses: Excess[] = []
  for (const windowMs of windows) {
    const rollups = rollupsWithin(usage, windowMs, nowMs)
    const totals = sumRollups(rollups)
    if (totals.requests - totals.refused < Math.min(thresholds.minRequests, SIZED_REQUESTS_MIN)) continue
    const endMs = bucketStart(nowMs) + MINUTE_MS
    const expected = expectedVolume(profile, endMs - windowMs, endMs)
    for (const metric of metrics) {
      const excess = excessOf(profile, { metric, windowMs, expected, totals, rollups }, thresholds)
      if (excess !== undefined) excesses.push(excess)
    }
  }
  return excesses.toSorted((a, b) => a.logChance - b.logChance || b.windowMs - a.windowMs)
}

interface Measurement {
  readonly metric: VolumeMetric
  readonly windowMs: number
  readonly expected: ExpectedVolume
  readonly totals: UsageTotals
  readonly rollups: readonly Rollup[]
}

function excessOf(
  profile: Profile,
  measurement: Measurement,
  thresholds: VolumeThresholds,
): Excess | undefined {
  const { metric, windowMs, expected, totals, rollups } = measurement
  const amount = amountOf(profile, metric, totals)
  if (amount === undefined || amount.observed < thresholds.minRequests * amount.perRequest) return undefined
  const usual = expected.mean * amount.perRequest
  const ratioMin = windowMs <= SHORT_WINDOW_MS ? RATIO_MIN_SHORT : RATIO_MIN_HOUR
  // One dear request is no spike: without it, there must still be far more than usual.
  const largest = metric === 'requests' ? 0 : largestOf(rollups, metric)
  if (amount.observed - largest < usual * ratioMin) return undefined
  if (!exceedsPeak(profile, measurement, amount)) return undefined
  // Read as a count of requests of equal size: sum / scale has the variance of a count.
  const mean = usual / amount.scale
  const logChance = logOverdispersedTail(amount.observed / amount.scale, mean, expected.size)
  if (!(logChance <= thresholds.logChance)) return undefined
  return {
    metric,
    windowMs,
    observed: amount.observed,
    usual,
    low: overdispersedQuantile(0.975, mean, expected.size) * amount.scale,
    high: overdispersedQuantile(0.025, mean, expected.size) * amount.scale,
    logChance,
  }
}

/** What the largest cell holds, when it is too small to be a pattern. */
function largestOf(rollups: readonly Rollup[], metric: 'tokens' | 'cost'): number {
  return rollups
    .filter(({ requests, refused }) => requests - refused < SIZED_REQUESTS_MIN)
    .reduce((largest, rollup) => Math.max(largest, sizeOf(rollup, metric)), 0)
}

function sizeOf(totals: UsageTotals, metric: 'tokens' | 'cost'): number {
  return metric === 'tokens' ? totals.inputTokens + totals.outputTokens : totals.costNanoUsd
}

interface Amount {
  readonly observed: number
  /** The usual size of a request in the metric's unit, and its size when sums are read as counts. */
  readonly perRequest: number
  readonly scale: number
  readonly peakHour: number
}

/** Undefined when the size of a request is not known yet, or too few requests have one. */
function amountOf(profile: Profile, metric: VolumeMetric, totals: UsageTotals): Amount | undefined {
  const { volume } = profile
  const made = totals.requests - totals.refused
  if (metric === 'requests') return { observed: made, perRequest: 1, scale: 1, peakHour: volume.peakRequests }
  const isTokens = metric === 'tokens'
  const size = requestScale(isTokens ? volume.tokens : volume.costNanoUsd)
  const sized = isTokens ? made : made - totals.unpriced
  if (size === undefined || sized < SIZED_REQUESTS_MIN) return undefined
  return {
    observed: sizeOf(totals, metric),
    perRequest: size.mean,
    scale: size.scale,
    peakHour: isTokens ? volume.peakTokens : volume.peakCostNanoUsd,
  }
}

/**
 * The guard of bursty keys, measured to cut false alerts to a third for hardly a loss: the window must exceed the
 * key's fading peak. Within the hour every key is bursty, so short windows are always held against the peak.
 */
function exceedsPeak(profile: Profile, { windowMs }: Measurement, { observed, peakHour }: Amount): boolean {
  if (windowMs >= HOUR_MS) return spreadOf(profile) <= BURSTY_SPREAD || observed > PEAK_GUARD * peakHour
  const { peakFiveMinutes, peakRequests } = profile.volume
  if (peakRequests <= 0) return true
  // A sub-additive bound: n short spans hold at the most n peaks of five minutes, and never more than the hour.
  const fiveMinuteSpans = Math.max(1, windowMs / (5 * MINUTE_MS))
  const share = Math.min(1, (fiveMinuteSpans * peakFiveMinutes) / peakRequests)
  return observed > PEAK_GUARD * share * peakHour
}
