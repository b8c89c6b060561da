import { z } from 'zod'
import { DAY_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { CALM, calmUnlessKnown } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, isLearning, type Profile } from '../profile.ts'
import { scoreOfSurprise } from '../score.ts'
import { counted, dollars, grouped } from '../sentence.ts'
import { commonSettings, learningSettings } from '../settings.ts'
import { faded } from '../source-habit.ts'
import { check, type Trace } from '../trace.ts'
import { driftOf, weeklyLevel, type Drift, type LevelMetric, type WeeklyLevel } from '../weekly-level.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('info'),
  ...learningSettings({ history: '22d', events: 200 }),
  metrics: z
    .array(z.enum(['requests', 'cost']))
    .min(1)
    .default(['requests', 'cost'])
    .describe('What is compared: successful requests, known cost, or both.'),
  times_usual: z
    .number()
    .min(1.1)
    .max(10)
    .default(1.4)
    .describe('How many times what the weeks before make expect the last seven days must be.'),
})

type DriftDetection = Detection<z.output<typeof settings>>

/** Standard deviations of the logarithm of the key's weeks: nearer to the usual no drift can be told from chance. */
const DEVIATIONS_MIN = 3
/** A week must have at least so many requests: small keys double by themselves. */
const REQUESTS_MIN = 100
/** Addresses first seen so long before the week in question, or in it, are counted as new. */
const NEW_SINCE_MS = 2 * DAY_MS

export const slowDrift = defineDetector({
  name: 'slow_drift',
  description:
    'The last week is well above what the weeks before it make expect, though no hour of it stands out.',
  settings,
  judgesTheMoment: true,
  detect: driftFindings,
  // It looks at whole days and nothing else, and no day begins within an hour.
  calm: (detection) =>
    calmUnlessKnown(detection, () => (driftFindings(detection).length === 0 ? CALM : undefined)),
})

function driftFindings(detection: DriftDetection, trace?: Trace): Finding[] {
  const { profile, settings: chosen, nowMs } = detection
  if (isLearning(profile, chosen, nowMs)) return []
  const requests = weeklyLevel(profile, 'requests', nowMs)
  const isMuch = check(trace, requests.last >= REQUESTS_MIN, () => ({
    kind: 'floor',
    what: 'successful requests in the last seven whole days',
    observed: requests.last,
    needed: `at least ${REQUESTS_MIN}`,
  }))
  if (!isMuch) return []
  const found = chosen.metrics
    .map((metric) => driftIn(detection, metric, trace))
    .filter((one) => one !== undefined)
    .toSorted((a, b) => b.drift.deviations - a.drift.deviations)[0]
  return found === undefined ? [] : [findingOf(detection, found)]
}

interface Found {
  readonly metric: LevelMetric
  readonly level: WeeklyLevel
  readonly drift: Drift
}

function driftIn(
  { profile, settings: chosen, nowMs }: DriftDetection,
  metric: LevelMetric,
  trace: Trace | undefined,
): Found | undefined {
  const level = weeklyLevel(profile, metric, nowMs)
  const drift = driftOf(level)
  const isKnown = check(trace, drift !== undefined, () => ({
    kind: 'learning',
    what: `whole weeks with ${metric} before the last seven days`,
    observed: level.before.length,
    needed: 'at least 2, none of them empty',
  }))
  if (drift === undefined || !isKnown) return undefined
  const isFar = check(trace, drift.ratio >= chosen.times_usual, () => ({
    kind: 'unusual',
    what: `${metric} of the last seven whole days, in times of what was to be expected`,
    observed: Number(drift.ratio.toPrecision(3)),
    needed: `at least ${chosen.times_usual}`,
    setting: `detectors.slow_drift.times_usual: ${chosen.times_usual}`,
  }))
  if (!isFar) return undefined
  const isRare = check(trace, drift.deviations >= DEVIATIONS_MIN, () => ({
    kind: 'unusual',
    what: `${metric} of the last seven whole days, in standard deviations of the weeks before`,
    observed: Number(drift.deviations.toPrecision(3)),
    needed: `at least ${DEVIATIONS_MIN}`,
  }))
  return isRare ? { metric, level, drift } : undefined
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: DriftDetection,
  { metric, level, drift }: Found,
): Finding {
  const { keyId } = usage.key
  const share = shareOfNew(profile, level.fromMs - NEW_SINCE_MS)
  const did =
    metric === 'cost'
      ? `spent ${dollars(level.last)} in the last seven days; about ${dollars(drift.expected)} was to be expected`
      : `made ${counted(level.last, 'request')} in the last seven days; about ${grouped(drift.expected)} were to be expected`
  const fromNew = share >= 0.1 ? `, ${Math.round(100 * share)} % of late from addresses first seen since` : ''
  const shown = (amount: number): number =>
    metric === 'cost' ? Number((amount / NANO_USD_PER_USD).toPrecision(4)) : Math.round(amount)
  return {
    detector: 'slow_drift',
    keyId,
    scope: '',
    severity: chosen.severity,
    // The tail of a normal distribution is below e^(-z^2 / 2); a week is looked at anew each day.
    score: scoreOfSurprise(drift.deviations ** 2 / 2),
    summary: `${keyId} ${did} from the ${counted(drift.weeks, 'week')} before${fromNew}`,
    evidence: {
      metric: metric === 'cost' ? 'cost_usd_per_week' : 'requests_per_week',
      observed: shown(level.last),
      expected: { mean: shown(drift.expected) },
      window: span(level.fromMs, level.fromMs + 7 * DAY_MS),
      history: historyOf(profile, nowMs),
      setting: `detectors.slow_drift.times_usual: ${chosen.times_usual}`,
      times_usual: Number(drift.ratio.toPrecision(3)),
      deviations: Number(drift.deviations.toPrecision(3)),
      weeks_before: level.before.map(shown),
      share_of_new_addresses: Number(share.toPrecision(2)),
    },
  }
}

/** The share of about the last three days' requests that came from addresses first seen since. */
function shareOfNew({ sources, learnedUntilMs }: Profile, sinceMs: number): number {
  let total = 0
  let fresh = 0
  for (const { made, fadedToMs, firstMs } of sources.addresses) {
    const lately = faded(made, learnedUntilMs - fadedToMs).at(-1) ?? 0
    total += lately
    if (firstMs >= sinceMs) fresh += lately
  }
  return total > 0 ? fresh / total : 0
}
