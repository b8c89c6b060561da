import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { rollupsWithin, sumWithin } from '../../usage/key-usage.ts'
import type { UsageTotals } from '../../usage/rollup.ts'
import { breakdownOf } from '../breakdown.ts'
import { CALM, type Calm } from '../calm.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import {
  priorChance,
  priorInWords,
  priorToJson,
  type Prior,
  type PriorChance,
  type Spread,
} from '../prior.ts'
import { spanCount } from '../ledger-spans.ts'
import { historyOf, type Profile } from '../profile.ts'
import { scoreOfChance } from '../score.ts'
import { counted, dollars, durationInWords, grouped } from '../sentence.ts'
import { severityOf } from '../settings.ts'
import { check, type Trace } from '../trace.ts'
import { windowOf } from '../window.ts'

export interface NewKeyVolumeSettings extends DetectorSettings {
  readonly metrics: readonly ('requests' | 'tokens' | 'cost')[]
  readonly windows: readonly number[]
  readonly sensitivity: 'low' | 'medium' | 'high'
  readonly min_requests: number
}

/** How seldom a key of the group comes to so much, before it is told at all; the alert budget asks for more. */
const LOG_CHANCE = { low: Math.log(1e-3), medium: Math.log(1e-2), high: Math.log(5e-2) } as const
/** And it must be so much above the highest of the group: what any of its keys does is no news of one more. */
const ABOVE_HIGHEST = 1.3
/** A key is judged so for three days by default, once by each of some two measures that do not say the same. */
const LOOKS_PER_DAY = 2 / 3
/** Means of fewer requests say little. */
const SIZED_REQUESTS_MIN = 10
const SHORT_WINDOW_MS = 5 * MINUTE_MS

interface Measure {
  readonly scope: '' | 'request_size'
  readonly metric: 'requests' | 'tokens' | 'cost' | 'tokens_per_request'
  /** The metric of the settings that switches it off when it is missing. */
  readonly of: 'requests' | 'tokens' | 'cost'
  readonly windowMs: number
  readonly observed: (totals: UsageTotals, made: number) => number
  readonly own: (profile: Profile) => number
  readonly group: (prior: Prior) => Spread | undefined
}

const MEASURES: readonly Measure[] = [
  {
    scope: '',
    metric: 'requests',
    of: 'requests',
    windowMs: SHORT_WINDOW_MS,
    observed: (_, made) => made,
    own: ({ volume }) => volume.peakFiveMinutes,
    group: ({ peakFiveMinutes }) => peakFiveMinutes,
  },
  {
    scope: '',
    metric: 'requests',
    of: 'requests',
    windowMs: HOUR_MS,
    observed: (_, made) => made,
    own: ({ volume }) => volume.peakRequests,
    group: ({ peakRequests }) => peakRequests,
  },
  {
    scope: '',
    metric: 'tokens',
    of: 'tokens',
    windowMs: HOUR_MS,
    observed: ({ inputTokens, outputTokens }) => inputTokens + outputTokens,
    own: ({ volume }) => volume.peakTokens,
    group: ({ peakTokens }) => peakTokens,
  },
  {
    scope: '',
    metric: 'cost',
    of: 'cost',
    windowMs: HOUR_MS,
    observed: ({ costNanoUsd }) => costNanoUsd,
    own: ({ volume }) => volume.peakCostNanoUsd,
    group: ({ peakCostNanoUsd }) => peakCostNanoUsd,
  },
  {
    scope: 'request_size',
    metric: 'tokens_per_request',
    of: 'tokens',
    windowMs: HOUR_MS,
    observed: ({ inputTokens, outputTokens }, made) =>
      made < SIZED_REQUESTS_MIN ? 0 : (inputTokens + outputTokens) / made,
    own: ({ volume }) => volume.peakTokensPerRequest,
    group: ({ peakTokensPerRequest }) => peakTokensPerRequest,
  },
]

interface Outlier extends PriorChance {
  readonly measure: Measure
  readonly observed: number
  readonly group: Spread
  readonly made: number
}

/**
 * The findings of volume_spike about a key that it does not know yet: more than any other key of its team, or of the
 * fleet, ever does. At most one about totals and one about the size of requests; none without a prior.
 */
export function newKeyFindings(detection: Detection<NewKeyVolumeSettings>, trace?: Trace): Finding[] {
  const { prior } = detection
  if (prior === undefined) return []
  const outliers = MEASURES.flatMap((measure) => outlierOf(detection, prior, measure, trace) ?? [])
  return (['', 'request_size'] as const).flatMap((scope) => {
    const [lead] = outliers
      .filter(({ measure }) => measure.scope === scope)
      .toSorted((a, b) => a.logChance - b.logChance)
    return lead === undefined ? [] : [findingOf(detection, prior, lead)]
  })
}

/** Calm while there is too little of everything, or less than what the highest of the group comes to. */
export function newKeyCalm({ prior, settings }: Detection<NewKeyVolumeSettings>): Calm {
  if (prior === undefined) return CALM
  return whileBelow(MEASURES.flatMap((measure) => limitOf(measure, prior, settings) ?? []))
}

function whileBelow(limits: readonly Limit[]): Calm {
  return (usage, nowMs) => {
    for (const { measure, least, enough } of limits) {
      const totals = sumWithin(usage, measure.windowMs, nowMs)
      const made = totals.requests - totals.refused
      if (made >= least && measure.observed(totals, made) >= enough) return false
    }
    return true
  }
}

interface Limit {
  readonly measure: Measure
  readonly group: Spread
  /** Successful requests. */
  readonly least: number
  readonly enough: number
}

/** What must be reached; undefined for what is not judged. */
function limitOf(measure: Measure, prior: Prior, settings: NewKeyVolumeSettings): Limit | undefined {
  const group = measure.group(prior)
  // Bursts are judged where they are judged for keys that are known.
  const isAsked = measure.windowMs >= HOUR_MS || settings.windows.some((ms) => ms < HOUR_MS)
  if (group === undefined || !isAsked || !settings.metrics.includes(measure.of)) return undefined
  const least =
    measure.of === 'requests' ? settings.min_requests : Math.min(settings.min_requests, SIZED_REQUESTS_MIN)
  return { measure, group, least, enough: ABOVE_HIGHEST * group.high }
}

function outlierOf(
  { usage, profile, settings, nowMs }: Detection<NewKeyVolumeSettings>,
  prior: Prior,
  measure: Measure,
  trace: Trace | undefined,
): Outlier | undefined {
  const { windowMs } = measure
  const limit = limitOf(measure, prior, settings)
  if (limit === undefined) return undefined
  const { group, least, enough } = limit
  const totals = sumWithin(usage, windowMs, nowMs)
  const made = totals.requests - totals.refused
  const isSome = check(trace, made >= least, () => ({
    kind: 'floor',
    what: `successful requests in ${durationInWords(windowMs)} of a key that is not known yet`,
    observed: made,
    needed: `at least ${grouped(least)}`,
  }))
  if (!isSome) return undefined
  const observed = measure.observed(totals, made)
  const isHighest = check(trace, observed >= enough, () => ({
    kind: 'unusual',
    what: `${NAMES[measure.metric]} in ${durationInWords(windowMs)}, by ${priorInWords(prior)}`,
    observed: shown(measure, observed),
    needed: `at least ${shown(measure, enough)}: ${ABOVE_HIGHEST} times the highest of them`,
  }))
  if (!isHighest) return undefined
  const own = { value: measure.own(profile), hours: spanCount(profile.ledger.hours) }
  const chance = priorChance(group, own, observed)
  const isRare = check(trace, chance.logChance <= LOG_CHANCE[settings.sensitivity], () => ({
    kind: 'unusual',
    what: `chance that a key comes to so many ${NAMES[measure.metric]} in ${durationInWords(windowMs)}, by ${priorInWords(prior)}`,
    observed: Number(Math.exp(chance.logChance).toPrecision(2)),
    needed: `at most ${Number(Math.exp(LOG_CHANCE[settings.sensitivity]).toPrecision(2))}`,
    setting: `detectors.volume_spike.sensitivity: ${settings.sensitivity}`,
  }))
  return isRare ? { ...chance, measure, observed, group, made } : undefined
}

const NAMES = {
  requests: 'successful requests',
  tokens: 'tokens',
  cost: 'US dollars',
  tokens_per_request: 'tokens a request',
} as const satisfies Record<Measure['metric'], string>

function findingOf(
  { usage, profile, settings, nowMs }: Detection<NewKeyVolumeSettings>,
  prior: Prior,
  { measure, observed, group, made, logChance, low, high, weight }: Outlier,
): Finding {
  const { keyId } = usage.key
  const { windowMs } = measure
  const days = Math.max(0, Math.floor((nowMs - profile.firstSeenMs) / DAY_MS))
  return {
    detector: 'volume_spike',
    keyId,
    scope: measure.scope,
    severity: severityOf(settings, 'warning'),
    score: scoreOfChance(logChance, LOOKS_PER_DAY),
    summary:
      `${keyId}, known for ${counted(days, 'day')}, ${deed(measure, observed, made)} in ${durationInWords(windowMs)}: ` +
      `more than any other key (${inWords(measure, group.high)} at most), by ${priorInWords(prior)}`,
    evidence: {
      metric: measure.metric === 'cost' ? 'cost_usd' : measure.metric,
      observed: shown(measure, observed),
      expected: { low: shown(measure, low), high: shown(measure, high) },
      window: windowOf(windowMs, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.volume_spike.sensitivity: ${settings.sensitivity}`,
      chance: Number(Math.max(CHANCE_MIN, Math.exp(logChance)).toPrecision(2)),
      judged_by: { ...priorToJson(prior), weight: Number(weight.toPrecision(2)) },
      highest_of_others: shown(measure, group.high),
      requests: made,
      ...breakdownOf(rollupsWithin(usage, windowMs, nowMs)),
    },
  }
}
const CHANCE_MIN = 1e-300

function shown({ metric }: Measure, amount: number): number {
  return metric === 'cost' ? Number((amount / NANO_USD_PER_USD).toPrecision(4)) : Math.round(amount)
}

function inWords({ metric }: Measure, amount: number): string {
  return metric === 'cost' ? dollars(amount) : grouped(amount)
}

function deed({ metric }: Measure, observed: number, made: number): string {
  switch (metric) {
    case 'requests':
      return `made ${counted(observed, 'request')}`
    case 'tokens':
      return `used ${counted(observed, 'token')}`
    case 'cost':
      return `spent ${dollars(observed)}`
    case 'tokens_per_request':
      return `used ${grouped(observed)} tokens a request over ${counted(made, 'request')}`
    default:
      return metric satisfies never
  }
}
