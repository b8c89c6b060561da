import { rollupsWithin, sumWithin } from '../../usage/key-usage.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { breakdownOf } from '../breakdown.ts'
import { CALM, type Calm } from '../calm.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, type Profile } from '../profile.ts'
import { bucketStart, type Rollup, type UsageTotals } from '../../usage/rollup.ts'
import { beyondPeakRate, scoreOfRate } from '../score.ts'
import { counted, dollars, durationInWords, grouped } from '../sentence.ts'
import { severityOf } from '../settings.ts'
import { check, type Check, type Trace } from '../trace.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { SIZE_PRIOR_REQUESTS } from '../learn-hour.ts'

export interface RequestSizeSettings extends DetectorSettings {
  readonly metrics: readonly string[]
  readonly sensitivity: 'low' | 'medium' | 'high'
}

const WINDOWS_MS = [10 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS]
/** How many times the usual size the mean request must be, by sensitivity; prompts that grow double, abuse is tenfold. */
const RATIO_MIN = { low: 6, medium: 4, high: 3 } as const
/** And above the largest mean of an hour, which fades: keys that now and then send long documents. */
const PEAK_RATIO_MIN = 1.5
/** So many requests speak by their mean; fewer only by the size of each. */
const REQUESTS_MIN = 10
const LARGE_REQUESTS_MIN = 2
/** More than the largest so many say nothing more, and would cost time and digits. */
const LARGE_REQUESTS_MAX = 20
/** Who has made few requests has not shown how large they can be: so many times the usual come by themselves. */
const LARGEST_PRIOR_RATIO = 4
/** Large requests come in runs, of one document or one session: of those as large as the largest, so many are followed by another. */
const RUN_SHARE = 0.2
/** A run that comes more often than a first country or model of a key, once in 400 days, is not worth telling. */
const RUNS_PER_DAY_MAX = 1 / 400

/** Calm while the mean request is not far larger than usual in any window. */
export function sizeCalm({ profile, settings }: Detection<RequestSizeSettings>): Calm {
  if (!isSized(profile, settings)) return CALM
  return whileUsual(limitsOf(profile, settings))
}

function whileUsual(limits: SizeLimits): Calm {
  return (usage, nowMs) => {
    for (const windowMs of WINDOWS_MS) {
      const totals = sumWithin(usage, windowMs, nowMs)
      if (madeIn(totals) >= LARGE_REQUESTS_MIN && isLarge(totals, limits)) return false
    }
    return true
  }
}

/** In tokens a request. */
interface SizeLimits {
  readonly usual: number
  /** The mean must be as large, and the mean drawn towards the usual. */
  readonly mean: number
  readonly drawnMean: number
}

function limitsOf(profile: Profile, { sensitivity }: RequestSizeSettings): SizeLimits {
  const usual = usualSize(profile)
  return {
    usual,
    mean: RATIO_MIN[sensitivity] * usual,
    drawnMean: PEAK_RATIO_MIN * profile.volume.peakTokensPerRequest,
  }
}

/** True when requests are judged by their size, and how large they are by habit is known. */
function isSized({ volume: { tokens } }: Profile, { metrics }: RequestSizeSettings): boolean {
  return metrics.includes('tokens') && tokens.requests > 0 && tokens.sum > 0
}

interface SizeExcess {
  readonly windowMs: number
  readonly rollups: readonly Rollup[]
  /** Successful requests, and their mean size. */
  readonly made: number
  readonly observed: number
  readonly usual: number
  readonly costNanoUsd: number
  readonly score: number
}

/** The finding of volume_spike about requests that are far larger than the key's, in no greater number. */
export function sizeFindings(detection: Detection<RequestSizeSettings>, trace?: Trace): Finding[] {
  if (!isSized(detection.profile, detection.settings)) return []
  let rarest: SizeExcess | undefined
  for (const windowMs of WINDOWS_MS) {
    const excess = sizeExcess(detection, windowMs, trace)
    if (excess !== undefined && (rarest === undefined || excess.score > rarest.score)) rarest = excess
  }
  return rarest === undefined ? [] : [findingOf(detection, rarest)]
}

function sizeExcess(
  { usage, profile, settings, nowMs }: Detection<RequestSizeSettings>,
  windowMs: number,
  trace: Trace | undefined,
): SizeExcess | undefined {
  const limits = limitsOf(profile, settings)
  const { usual } = limits
  const totals = sumWithin(usage, windowMs, nowMs)
  const made = madeIn(totals)
  const isSome = check(trace, made >= LARGE_REQUESTS_MIN, () => ({
    kind: 'floor',
    what: `successful requests in ${durationInWords(windowMs)}, for their size`,
    observed: made,
    needed: `at least ${LARGE_REQUESTS_MIN}`,
  }))
  if (!isSome) return undefined
  const sum = tokensOf(totals)
  const observed = sum / made
  const ratio = RATIO_MIN[settings.sensitivity]
  const least = Math.max(limits.mean, limits.drawnMean)
  const isFar = check(trace, isLarge(totals, limits), () =>
    sizeCheck(windowMs, { observed, least }, settings),
  )
  if (!isFar) return undefined
  const rollups = rollupsWithin(usage, windowMs, nowMs)
  const perDay = Math.min(
    rateOfMean(profile, { rollups, made, sum, mean: drawnMean(totals, limits) }, { ratio, nowMs }),
    rateOfRun(profile, rollups, { ratio, nowMs }),
  )
  const isMany = check(trace, perDay < Infinity, () => ({
    kind: 'unusual',
    what: `requests of such a size in ${durationInWords(windowMs)}`,
    observed: made,
    needed: `${REQUESTS_MIN} whose mean does not rest on one of them, or ${LARGE_REQUESTS_MIN} of them`,
  }))
  return isMany
    ? {
        windowMs,
        rollups,
        made,
        observed,
        usual,
        costNanoUsd: totals.costNanoUsd,
        score: scoreOfRate(perDay),
      }
    : undefined
}

/** True when the mean request is so many times the usual one, and above the largest mean of an hour. */
function isLarge(totals: UsageTotals, limits: SizeLimits): boolean {
  return tokensOf(totals) / madeIn(totals) >= limits.mean && drawnMean(totals, limits) >= limits.drawnMean
}

/** The mean drawn towards the usual as the peaks are: few requests say little. */
function drawnMean(totals: UsageTotals, { usual }: SizeLimits): number {
  return (tokensOf(totals) + SIZE_PRIOR_REQUESTS * usual) / (madeIn(totals) + SIZE_PRIOR_REQUESTS)
}

/** How often in a day the key by its habit has an hour of such a mean; Infinity when few requests make it, or one of them. */
function rateOfMean(
  profile: Profile,
  {
    rollups,
    made,
    sum,
    mean,
  }: Pick<SizeExcess, 'rollups' | 'made'> & { readonly sum: number; readonly mean: number },
  { ratio, nowMs }: { readonly ratio: number; readonly nowMs: number },
): number {
  const usual = usualSize(profile)
  const withoutLargest = (sum - largestOf(rollups)) / made
  if (made < REQUESTS_MIN || withoutLargest < (ratio / 2) * usual) return Infinity
  const { days } = historyOf(profile, nowMs)
  const perDay = beyondPeakRate(
    { observed: mean, peak: profile.volume.peakTokensPerRequest, days },
    PEAK_POWER,
  )
  return (FAR_SHARE * perDay * usual) / mean
}

/**
 * How often in a day the key by its habit makes as many requests as large as these: the rarest of "two of this size or
 * more", "three of that" and so on. Infinity when there are no two, when the largest that the key has made is not known, and
 * for what comes more often than RUNS_PER_DAY_MAX.
 */
function rateOfRun(
  profile: Profile,
  rollups: readonly Rollup[],
  { ratio, nowMs }: { readonly ratio: number; readonly nowMs: number },
): number {
  const { largestTokensPerRequest } = profile.volume
  if (largestTokensPerRequest <= 0) return Infinity
  const usual = usualSize(profile)
  const peak = Math.max(largestTokensPerRequest, LARGEST_PRIOR_RATIO * usual)
  const { days } = historyOf(profile, nowMs)
  const sizes = largestSizes(rollups).filter((size) => size >= ratio * usual)
  let logShares = 0
  let rarest = Infinity
  for (const [before, size] of sizes.entries()) {
    // Of requests as large as the largest, so many are as large as this one; smaller ones come more often than it did.
    const share = (size / peak) ** -PEAK_POWER
    logShares += Math.min(0, Math.log(share))
    if (before + 1 < LARGE_REQUESTS_MIN) continue
    const runs = (Math.max(1, share) / Math.max(1, days)) * RUN_SHARE ** before
    rarest = Math.min(rarest, runs * productTail(logShares, before + 1))
  }
  return rarest <= RUNS_PER_DAY_MAX ? rarest : Infinity
}

/** The sizes of the LARGE_REQUESTS_MAX largest requests, the largest first, each taken for the mean of its cell. */
function largestSizes(rollups: readonly Rollup[]): number[] {
  return rollups
    .filter(({ requests, refused }) => requests > refused)
    .flatMap((cell) => {
      const made = cell.requests - cell.refused
      return Array<number>(Math.min(made, LARGE_REQUESTS_MAX)).fill(tokensOf(cell) / made)
    })
    .toSorted((a, b) => b - a)
    .slice(0, LARGE_REQUESTS_MAX)
}

/** The chance that the product of so many uniform numbers is as small as this (Fisher's combined test). */
function productTail(logProduct: number, count: number): number {
  let term = 1
  let sum = 0
  for (let at = 0; at < count; at += 1) {
    sum += term
    term *= -logProduct / (at + 1)
  }
  return Math.min(1, Math.exp(logProduct) * sum)
}

function usualSize({ volume: { tokens } }: Profile): number {
  return tokens.sum / tokens.requests
}

function sizeCheck(
  windowMs: number,
  { observed, least }: { readonly observed: number; readonly least: number },
  { sensitivity }: RequestSizeSettings,
): Omit<Check, 'holds'> {
  return {
    kind: 'unusual',
    what: `tokens a request in ${durationInWords(windowMs)}`,
    observed: Math.round(observed),
    needed: `at least ${grouped(least)}`,
    setting: `detectors.volume_spike.sensitivity: ${sensitivity}`,
  }
}

/** Hours whose mean size is so many times the highest one's are rarer by this power, and again by how far the usual is. */
const PEAK_POWER = 2
/** Of hours above the highest one, so many pass the other comparisons too. */
const FAR_SHARE = 0.2

function findingOf(
  { usage, profile, settings, nowMs }: Detection<RequestSizeSettings>,
  { windowMs, rollups, made, observed, usual, costNanoUsd, score }: SizeExcess,
): Finding {
  return {
    detector: 'volume_spike',
    keyId: usage.key.keyId,
    scope: 'request_size',
    severity: severityOf(settings, 'warning'),
    score,
    summary:
      `${usage.key.keyId} used ${grouped(observed)} tokens a request over ${counted(made, 'request')} in ` +
      `${durationInWords(windowMs)}; ${grouped(usual)} are usual (${dollars(costNanoUsd)} spent)`,
    evidence: {
      metric: 'tokens_per_request',
      observed: Math.round(observed),
      expected: {
        mean: Math.round(usual),
        highest_hour: Math.round(profile.volume.peakTokensPerRequest),
      },
      window: {
        start: new Date(bucketStart(nowMs) + MINUTE_MS - windowMs).toISOString(),
        end: new Date(nowMs).toISOString(),
      },
      history: historyOf(profile, nowMs),
      setting: `detectors.volume_spike.sensitivity: ${settings.sensitivity}`,
      times_usual: Number((observed / usual).toPrecision(3)),
      requests: made,
      cost_usd: Number((costNanoUsd / NANO_USD_PER_USD).toPrecision(6)),
      ...breakdownOf(rollups),
    },
  }
}

function largestOf(rollups: readonly Rollup[]): number {
  return rollups.reduce((most, cell) => Math.max(most, tokensOf(cell)), 0)
}

function tokensOf({ inputTokens, outputTokens }: UsageTotals): number {
  return inputTokens + outputTokens
}

function madeIn({ requests, refused }: UsageTotals): number {
  return requests - refused
}
