import { rollupsWithin, sumRollups } from '../../usage/key-usage.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { breakdownOf } from '../breakdown.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { bucketStart, type Rollup } from '../../usage/rollup.ts'
import { counted, dollars, durationInWords, grouped } from '../sentence.ts'
import { severityOf } from '../settings.ts'
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

/** The finding of volume_spike about requests that are far larger than the key's, in no greater number. */
export function sizeFindings({ usage, profile, settings, nowMs }: Detection<RequestSizeSettings>): Finding[] {
  const { tokens, peakTokensPerRequest } = profile.volume
  if (!settings.metrics.includes('tokens') || tokens.requests <= 0 || tokens.sum <= 0) return []
  const usual = tokens.sum / tokens.requests
  for (const windowMs of WINDOWS_MS) {
    const rollups = rollupsWithin(usage, windowMs, nowMs)
    const { requests, refused, inputTokens, outputTokens, costNanoUsd } = sumRollups(rollups)
    const made = requests - refused
    if (made < REQUESTS_MIN) continue
    const sum = inputTokens + outputTokens
    // Drawn towards the usual as the peaks are, and without its largest minute: one long document is no abuse.
    const mean = (sum + SIZE_PRIOR_REQUESTS * usual) / (made + SIZE_PRIOR_REQUESTS)
    const withoutLargest = (sum - largestOf(rollups)) / made
    const ratio = RATIO_MIN[settings.sensitivity]
    if (sum / made < ratio * usual || withoutLargest < (ratio / 2) * usual) continue
    if (mean < PEAK_RATIO_MIN * peakTokensPerRequest) continue
    const observed = sum / made
    return [
      {
        detector: 'volume_spike',
        keyId: usage.key.keyId,
        scope: 'request_size',
        severity: severityOf(settings, 'warning'),
        summary:
          `${usage.key.keyId} used ${grouped(observed)} tokens a request over ${counted(made, 'request')} in ` +
          `${durationInWords(windowMs)}; ${grouped(usual)} are usual (${dollars(costNanoUsd)} spent)`,
        evidence: {
          metric: 'tokens_per_request',
          observed: Math.round(observed),
          expected: { mean: Math.round(usual), highest_hour: Math.round(peakTokensPerRequest) },
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
      },
    ]
  }
  return []
}

function largestOf(rollups: readonly Rollup[]): number {
  return rollups.reduce(
    (most, { inputTokens, outputTokens }) => Math.max(most, inputTokens + outputTokens),
    0,
  )
}
