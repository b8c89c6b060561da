import { rollupsWithin, sumWithin } from '../../usage/key-usage.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { breakdownOf } from '../breakdown.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { bucketStart, type Rollup } from '../../usage/rollup.ts'
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
const REQUESTS_MIN = 10

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
  const { tokens } = detection.profile.volume
  if (!detection.settings.metrics.includes('tokens') || tokens.requests <= 0 || tokens.sum <= 0) return []
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
  const { tokens, peakTokensPerRequest } = profile.volume
  const usual = tokens.sum / tokens.requests
  const { requests, refused, inputTokens, outputTokens, costNanoUsd } = sumWithin(usage, windowMs, nowMs)
  const made = requests - refused
  const isSome = check(trace, made >= REQUESTS_MIN, () => ({
    kind: 'floor',
    what: `successful requests in ${durationInWords(windowMs)}, for their size`,
    observed: made,
    needed: `at least ${REQUESTS_MIN}`,
  }))
  if (!isSome) return undefined
  const sum = inputTokens + outputTokens
  const observed = sum / made
  // Drawn towards the usual as the peaks are, and without its largest minute: one long document is no abuse.
  const mean = (sum + SIZE_PRIOR_REQUESTS * usual) / (made + SIZE_PRIOR_REQUESTS)
  const ratio = RATIO_MIN[settings.sensitivity]
  const least = Math.max(ratio * usual, PEAK_RATIO_MIN * peakTokensPerRequest)
  const isLarge = observed >= ratio * usual && mean >= PEAK_RATIO_MIN * peakTokensPerRequest
  if (!check(trace, isLarge, () => sizeCheck(windowMs, { observed, least }, settings))) return undefined
  const rollups = rollupsWithin(usage, windowMs, nowMs)
  const withoutLargest = (sum - largestOf(rollups)) / made
  const isMany = withoutLargest >= (ratio / 2) * usual
  const rest = { observed: withoutLargest, least: (ratio / 2) * usual }
  if (!check(trace, isMany, () => sizeCheck(windowMs, rest, settings))) return undefined
  const days = historyOf(profile, nowMs).days
  const perDay = beyondPeakRate({ observed: mean, peak: peakTokensPerRequest, days }, PEAK_POWER)
  return {
    windowMs,
    rollups,
    made,
    observed,
    usual,
    costNanoUsd,
    score: scoreOfRate((FAR_SHARE * perDay * usual) / mean),
  }
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
  return rollups.reduce(
    (most, { inputTokens, outputTokens }) => Math.max(most, inputTokens + outputTokens),
    0,
  )
}
