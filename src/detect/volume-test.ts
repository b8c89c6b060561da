import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { rollupsWithin, sumWithin, type KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type Rollup, type UsageTotals } from '../usage/rollup.ts'
import {
  expectedLongVolume,
  expectedVolume,
  requestScale,
  spreadOf,
  type ExpectedVolume,
} from './expected-volume.ts'
import type { Profile } from './profile.ts'
import { scoreOfSurprise } from './score.ts'
import { NANO_USD_PER_USD } from '../usage/event.ts'
import { isLess, leastAmounts, ratioMin, sizeOf } from './least-volume.ts'
import { longPeak, longWindow, SHORT_WINDOWS_MS, type LongWindow } from './long-window.ts'
import { durationInWords } from './sentence.ts'
import { check, type Check, type Trace } from './trace.ts'
import { tailScale } from './surprise-habit.ts'
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
  /** How rare it is for the key, held against its own past: what leads, and what the budget is compared with. */
  readonly score: number
}

/** How unlikely, how far above the usual, and how much a window must be: all three. */
export interface VolumeThresholds {
  readonly logChance: number
  /** Successful requests; tokens and cost count as so many usual requests. */
  readonly minRequests: number
}

/** A bursty key must exceed its own fading peak by this much: its bursts are not chance, whatever the model says. */
const PEAK_GUARD = 1.3
const BURSTY_SPREAD = 1 / 1.5
/** Sizes vary without bound, so totals of tokens and cost need a handful of requests. */
const SIZED_REQUESTS_MIN = 5

/** The excesses of the windows over what is usual, the rarest first. */
export function volumeExcesses(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  { metrics, windows }: { readonly metrics: readonly VolumeMetric[]; readonly windows: readonly number[] },
  thresholds: VolumeThresholds,
  trace?: Trace,
): Excess[] {
  const excesses: Excess[] = []
  for (const windowMs of windows) {
    const window = windowTotals({ usage, profile, nowMs }, windowMs)
    const { fromMs, endMs, totals } = window
    const made = totals.requests - totals.refused
    const least = Math.min(thresholds.minRequests, SIZED_REQUESTS_MIN)
    const isSome = check(trace, made >= least, () => ({
      kind: 'floor',
      what: `successful requests in ${durationInWords(windowMs)}`,
      observed: made,
      needed: `at least ${least}`,
    }))
    if (!isSome) continue
    // Nearly always there is far too little of everything, and then this is all that is done.
    if (trace === undefined && windowMs <= SHORT_WINDOWS_MS) {
      const firstHourMs = bucketStart(fromMs, HOUR_MS)
      const lastHourMs = bucketStart(endMs - 1, HOUR_MS)
      const { minRequests } = thresholds
      if (isLess(totals, leastAmounts(profile, { windowMs, firstHourMs, lastHourMs, minRequests }))) continue
    }
    const expected =
      windowMs > SHORT_WINDOWS_MS
        ? expectedLongVolume(profile, window)
        : { ...expectedVolume(profile, fromMs, endMs), spread: spreadOf(profile) }
    for (const metric of metrics) {
      // The ledger, which long windows are summed from, knows no tokens.
      if (metric === 'tokens' && windowMs > SHORT_WINDOWS_MS) continue
      const measurement = { metric, windowMs, fromMs, expected, totals, trace }
      const excess = excessOf({ usage, profile, nowMs }, measurement, thresholds)
      if (excess !== undefined) excesses.push(excess)
    }
  }
  if (excesses.length < 2) return excesses
  return excesses.toSorted(
    (a, b) => b.score - a.score || a.logChance - b.logChance || b.windowMs - a.windowMs,
  )
}

/**
 * How surprising a closed hour is to the model: -ln of how many hours of so much, by whatever metric, it expects in a
 * day; 0 for an hour that is not above the usual.
 */
export function hourSurprise(profile: Profile, hourMs: number, totals: UsageTotals): number {
  const expected = expectedVolume(profile, hourMs, hourMs + HOUR_MS)
  let nats = 0
  for (const metric of VOLUME_METRICS) {
    const amount = amountOf(profile, metric, totals)
    if (amount === undefined || amount.observed <= expected.mean * amount.perRequest) continue
    const mean = (expected.mean * amount.perRequest) / amount.scale
    const logChance = logOverdispersedTail(amount.observed / amount.scale, mean, expected.size)
    nats = Math.max(nats, -logChance - Math.log(DAY_MS / HOUR_MS))
  }
  return nats
}
const VOLUME_METRICS: readonly VolumeMetric[] = ['requests', 'tokens', 'cost']

function windowTotals(
  judged: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  windowMs: number,
): LongWindow {
  if (windowMs > SHORT_WINDOWS_MS) return longWindow(judged, windowMs)
  const endMs = bucketStart(judged.nowMs) + MINUTE_MS
  return {
    fromMs: endMs - windowMs,
    endMs,
    totals: sumWithin(judged.usage, windowMs, judged.nowMs),
    made: NO_HOURS,
  }
}

const NO_HOURS: ReadonlyMap<number, number> = new Map()

interface Measurement {
  readonly metric: VolumeMetric
  readonly windowMs: number
  readonly fromMs: number
  readonly trace: Trace | undefined
  readonly expected: ExpectedVolume & { readonly spread: number }
  readonly totals: UsageTotals
}

function excessOf(
  { usage, profile, nowMs }: { readonly usage: KeyUsage; readonly profile: Profile; readonly nowMs: number },
  measurement: Measurement,
  thresholds: VolumeThresholds,
): Excess | undefined {
  const { metric, windowMs, expected, totals, trace } = measurement
  const amount = amountOf(profile, metric, totals)
  // A size that nobody knows yet, or too few requests that have one.
  if (amount === undefined) return undefined
  const note = (kind: Check['kind'], holds: boolean, needed: number): boolean =>
    check(trace, holds, () => ({
      kind,
      what: `${AMOUNTS[metric]} in ${durationInWords(windowMs)}`,
      observed: shownAmount(metric, amount.observed),
      needed: `at least ${shownAmount(metric, needed)}`,
    }))
  const floor = thresholds.minRequests * amount.perRequest
  if (!note('floor', amount.observed >= floor, floor)) return undefined
  const usual = expected.mean * amount.perRequest
  const least = usual * ratioMin(windowMs)
  if (!note('unusual', amount.observed >= least, least)) return undefined
  // One dear request is no spike: without it, there must still be far more than usual.
  const largest =
    metric === 'requests' || windowMs > SHORT_WINDOWS_MS
      ? 0
      : largestOf(rollupsWithin(usage, windowMs, nowMs), metric)
  if (!note('unusual', amount.observed - largest >= least, least + largest)) return undefined
  const peak = guardedPeak(profile, measurement, amount)
  if (peak > 0 && !note('unusual', amount.observed > peak, peak)) return undefined
  // Read as a count of requests of equal size: sum / scale has the variance of a count.
  const mean = usual / amount.scale
  const logChance = logOverdispersedTail(amount.observed / amount.scale, mean, expected.size)
  const isRare = check(trace, logChance <= thresholds.logChance, () => ({
    kind: 'unusual',
    what: `chance of so many ${AMOUNTS[metric]} in ${durationInWords(windowMs)}`,
    observed: Number(Math.max(CHANCE_SHOWN_MIN, Math.exp(logChance)).toPrecision(2)),
    needed: `at most ${Number(Math.exp(thresholds.logChance).toPrecision(2))}`,
    setting: 'detectors.volume_spike.sensitivity',
  }))
  if (!isRare) return undefined
  return {
    metric,
    windowMs,
    observed: amount.observed,
    usual,
    low: overdispersedQuantile(0.975, mean, expected.size) * amount.scale,
    high: overdispersedQuantile(0.025, mean, expected.size) * amount.scale,
    logChance,
    score: scoreOfSurprise((-logChance - Math.log(DAY_MS / windowMs)) / volumeScale(profile)),
  }
}

const AMOUNTS = {
  requests: 'successful requests',
  tokens: 'tokens',
  cost: 'US dollars',
} as const satisfies Record<VolumeMetric, string>
const CHANCE_SHOWN_MIN = 1e-300

function shownAmount(metric: VolumeMetric, amount: number): number {
  return Number((metric === 'cost' ? amount / NANO_USD_PER_USD : amount).toPrecision(4))
}

/** By how much the tails of this key's volume are longer than the model's. */
export function volumeScale(profile: Profile): number {
  return tailScale(profile.surprises.volume_spike, TYPICAL_SCALE)
}
/** The scale of a typical key of the evaluation fleets: hours cluster, days differ, whatever the model says. */
const TYPICAL_SCALE = 2

/** What the largest cell holds, when it is too small to be a pattern. */
function largestOf(rollups: readonly Rollup[], metric: 'tokens' | 'cost'): number {
  return rollups
    .filter(({ requests, refused }) => requests - refused < SIZED_REQUESTS_MIN)
    .reduce((largest, rollup) => Math.max(largest, sizeOf(rollup, metric)), 0)
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
 * key's fading peak. Within the hour every key is bursty, so short windows are always held against the peak. Returns what
 * must be exceeded; 0 where there is no guard.
 */
function guardedPeak(
  profile: Profile,
  { metric, windowMs, fromMs, expected }: Measurement,
  { peakHour }: Amount,
): number {
  if (windowMs >= HOUR_MS && expected.spread <= BURSTY_SPREAD) return 0
  if (windowMs > SHORT_WINDOWS_MS)
    return PEAK_GUARD * longPeak(profile, { fromMs, windowMs, isCost: metric === 'cost' })
  if (windowMs >= HOUR_MS) return PEAK_GUARD * peakHour
  const { peakFiveMinutes, peakRequests } = profile.volume
  if (peakRequests <= 0) return 0
  // A sub-additive bound: n short spans hold at the most n peaks of five minutes, and never more than the hour.
  const fiveMinuteSpans = Math.max(1, windowMs / (5 * MINUTE_MS))
  const share = Math.min(1, (fiveMinuteSpans * peakFiveMinutes) / peakRequests)
  return PEAK_GUARD * share * peakHour
}
