import { z } from 'zod'
import { PERIODS, periodAt, type PeriodBounds } from '../../usage/calendar.ts'
import { DAY_MS, durationMs, formatDuration, MINUTE_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { breakdownOf } from '../breakdown.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import { CALM } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import { SEVERITIES, type Finding, type JsonValue, type Severity } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { counted, dollars, durationInWords } from '../sentence.ts'
import { commonSettings, timeZoneSetting } from '../settings.ts'
import { backBelowMs, spentSince, spentWithin, type Spending } from '../spending.ts'
import { check, type Trace } from '../trace.ts'

const severityOf = z.enum(SEVERITIES).optional()

const limit = z
  .strictObject({
    window: durationMs
      .refine((ms) => ms >= MINUTE_MS && ms <= 31 * DAY_MS, { message: 'expected a duration from 1m to 31d' })
      .optional()
      .describe('Rolling window that ends now, from 1m to 31d. A limit has a window or a period.'),
    period: z
      .enum(PERIODS)
      .optional()
      .describe('Period of the calendar; weeks start on Monday. The sum starts at 0 with each.'),
    timezone: timeZoneSetting.default('UTC').describe('The time zone in which periods begin.'),
    usd: z.number().gt(0).describe('US dollars that may be spent in the window or period.'),
    severity: severityOf.describe('Severity of this limit, when it is not that of the detector.'),
    thresholds: z
      .array(
        z.strictObject({
          percent: z.number().gt(0).max(10_000).describe('Percent of `usd`.'),
          severity: severityOf.describe('Severity of this threshold, when it is not that of the limit.'),
        }),
      )
      .max(8)
      .default([])
      .describe('Further alerts, at other shares of the limit, each raised once per crossing.'),
    projected: severityOf.describe(
      'For a period: severity of an alert when, at its present pace, the key will exceed the limit before the period ends. Left out: none.',
    ),
  })
  .refine(({ window, period }) => (window === undefined) !== (period === undefined), {
    message: 'expected either a window (rolling) or a period (day, week, month)',
  })
  .refine(({ period, projected: severity }) => severity === undefined || period !== undefined, {
    path: ['projected'],
    message: 'expected a limit with a period: the end of a rolling window is always now',
  })

const settings = z.strictObject({
  ...commonSettings('critical'),
  limits: z
    .array(limit)
    .max(16)
    .default([])
    .describe(
      'What a key may spend, for example { window: 1d, usd: 10 } or { period: month, usd: 200 }. Each limit has its own alert; none is set by default.',
    ),
})

type Limit = z.output<typeof limit>
type SpendDetection = Detection<z.output<typeof settings>>

export const spendThreshold = defineDetector({
  name: 'spend_threshold',
  description: 'A key spent more than a limit within a rolling window or a period of the calendar.',
  settings,
  judgesTheMoment: true,
  detect: (detection, trace) => {
    const { limits } = detection.settings
    if (!check(trace, limits.length > 0, noLimit)) return []
    // A limit written twice is one scope: the later one counts.
    const findings = new Map<string, Finding>()
    for (const one of limits) {
      const measured = measure(detection, one)
      for (const crossing of crossingsOf(detection, measured, trace))
        findings.set(crossing.scope, findingOf(detection, measured, crossing))
    }
    return [...findings.values()]
  },
  calm: (detection) => {
    const { limits } = detection.settings
    if (limits.length === 0) return CALM
    let leftNanoUsd = Infinity
    for (const one of limits) {
      if (one.projected !== undefined) return undefined
      const { spent } = measure(detection, one)
      const percent = Math.min(100, ...one.thresholds.map((threshold) => threshold.percent))
      const allowed = (one.usd * NANO_USD_PER_USD * percent) / 100
      leftNanoUsd = Math.min(leftNanoUsd, allowed - spent.costNanoUsd)
    }
    // What is spent from now on is spent within two hours.
    return (usage, nowMs) => digestOf(usage, nowMs).since(-Infinity).costNanoUsd <= leftNanoUsd
  },
})

/** A limit with what was spent against it. */
interface Measured {
  readonly limit: Limit
  readonly spent: Spending
  /** The running period; undefined for a rolling window. */
  readonly period: PeriodBounds | undefined
  /** What the period will have cost at its end; undefined where that is not asked for or cannot be told yet. */
  readonly projectedNanoUsd: number | undefined
}

/** A share of a limit that was reached, or that will be. */
interface Crossing {
  readonly scope: string
  readonly severity: Severity
  readonly percent: number
  readonly isProjected: boolean
}

function measure(detection: SpendDetection, one: Limit): Measured {
  if (one.period === undefined) {
    const spent = spentWithin(detection, one.window ?? DAY_MS)
    return { limit: one, spent, period: undefined, projectedNanoUsd: undefined }
  }
  const period = periodAt(detection.nowMs, one.period, one.timezone)
  const spent = spentSince(detection, period.startMs)
  const projectedNanoUsd = one.projected === undefined ? undefined : projected(detection, period, spent)
  return { limit: one, spent, period, projectedNanoUsd }
}

/** Before so much of a period is over, its pace says nothing. */
const PACE_FROM_SHARE = 0.1

/**
 * What the period will have cost when it ends at the present pace: the lower of the pace since it began and that of the
 * last day, so that neither one dear day nor a quiet start decides alone.
 */
function projected(detection: SpendDetection, period: PeriodBounds, spent: Spending): number | undefined {
  const goneMs = detection.nowMs - period.startMs
  if (goneMs < PACE_FROM_SHARE * (period.endMs - period.startMs)) return undefined
  const lastDay = spentWithin(detection, DAY_MS).costNanoUsd / DAY_MS
  const pace = Math.min(spent.costNanoUsd / goneMs, lastDay)
  return Math.round(spent.costNanoUsd + pace * (period.endMs - detection.nowMs))
}

/** Every share of the limit that is exceeded, and the limit itself if it will be. */
function crossingsOf(detection: SpendDetection, measured: Measured, trace: Trace | undefined): Crossing[] {
  const { limit: one, spent, projectedNanoUsd } = measured
  const base = scopeOf(measured)
  const severity = one.severity ?? detection.settings.severity
  const shares = [
    { percent: 100, severity, scope: base },
    ...one.thresholds.map((threshold) => ({
      percent: threshold.percent,
      severity: threshold.severity ?? severity,
      scope: `${base}:${threshold.percent}%`,
    })),
  ]
  const crossings: Crossing[] = shares
    .filter(({ percent }) => isExceeded(measured, { percent, nanoUsd: spent.costNanoUsd }, trace))
    .map((share) => ({ ...share, isProjected: false }))
  const isOver = spent.costNanoUsd > one.usd * NANO_USD_PER_USD
  if (one.projected === undefined || projectedNanoUsd === undefined || isOver) return crossings
  if (isExceeded(measured, { percent: 100, nanoUsd: projectedNanoUsd, isProjected: true }, trace))
    crossings.push({ scope: `${base}:projected`, severity: one.projected, percent: 100, isProjected: true })
  return crossings
}

function isExceeded(
  measured: Measured,
  { percent, nanoUsd, isProjected = false }: { percent: number; nanoUsd: number; isProjected?: boolean },
  trace: Trace | undefined,
): boolean {
  const allowed = (measured.limit.usd * NANO_USD_PER_USD * percent) / 100
  return check(trace, nanoUsd > allowed, () => ({
    kind: 'unusual',
    what: isProjected ? `US dollars expected ${inWords(measured)}` : `US dollars spent ${inWords(measured)}`,
    observed: usdOf(nanoUsd),
    needed: `more than ${usdOf(allowed)}`,
    setting: settingOf(measured.limit),
  }))
}

/** Tells the alerts of one key apart. The period is part of it, so that each new one alerts anew. */
function scopeOf({ limit: one, period }: Measured): string {
  if (period === undefined) return `${formatDuration(one.window ?? DAY_MS)}:${one.usd}`
  return `${one.period}:${one.usd}:${period.name}${one.timezone === 'UTC' ? '' : `:${one.timezone}`}`
}

function findingOf(detection: SpendDetection, measured: Measured, crossing: Crossing): Finding {
  const { usage, profile, nowMs } = detection
  const { limit: one, spent, projectedNanoUsd } = measured
  const { percent, isProjected } = crossing
  return {
    detector: 'spend_threshold',
    keyId: usage.key.keyId,
    scope: crossing.scope,
    severity: crossing.severity,
    summary: `${usage.key.keyId} ${deed(measured, crossing)}`,
    evidence: {
      metric: isProjected ? 'projected_cost_usd' : 'cost_usd',
      observed: usdOf(isProjected ? (projectedNanoUsd ?? 0) : spent.costNanoUsd),
      expected: { at_most: (one.usd * percent) / 100 },
      window: { start: new Date(spent.fromMs).toISOString(), end: new Date(nowMs).toISOString() },
      history: historyOf(profile, nowMs),
      setting: settingOf(one),
      ...standing(detection, measured, percent),
      percentage_used: Number(((100 * spent.costNanoUsd) / (one.usd * NANO_USD_PER_USD)).toPrecision(4)),
      spent_usd: usdOf(spent.costNanoUsd),
      requests: spent.requests,
      unpriced_requests: spent.unpriced,
      ...breakdownOf(usage.rollups),
    },
  }
}

/** How long the alert stands: a period's to its end, a rolling one until enough has left the window. */
function standing(
  detection: SpendDetection,
  { limit: one, period }: Measured,
  percent: number,
): Record<string, JsonValue> {
  if (period !== undefined) return { ends_at: new Date(period.endMs).toISOString() }
  const allowed = (one.usd * NANO_USD_PER_USD * percent) / 100
  return { holds_until: new Date(backBelowMs(detection, one.window ?? DAY_MS, allowed)).toISOString() }
}

/** `spent $10.01 within 1 day; the limit is $10.00, not counting 7 requests whose price is unknown`. */
function deed(measured: Measured, { percent, isProjected }: Crossing): string {
  const { limit: one, spent, projectedNanoUsd } = measured
  const unpriced =
    spent.unpriced === 0 ? '' : `, not counting ${counted(spent.unpriced, 'request')} whose price is unknown`
  const limitText = dollars(one.usd * NANO_USD_PER_USD)
  if (isProjected) {
    return (
      `will have spent about ${dollars(projectedNanoUsd ?? 0)} by the end of the ${one.period} at its present pace ` +
      `(${dollars(spent.costNanoUsd)} so far); the limit is ${limitText}${unpriced}`
    )
  }
  const share = percent === 100 ? '' : `, of which ${percent} % is exceeded`
  return `spent ${dollars(spent.costNanoUsd)} ${inWords(measured)}; the limit is ${limitText}${share}${unpriced}`
}

/** `within 1 day`, or `in the month that began on 2026-03-01`. */
function inWords({ limit: one, period }: Measured): string {
  if (period === undefined) return `within ${durationInWords(one.window ?? DAY_MS)}`
  return one.period === 'day' ? `on ${period.name}` : `in the ${one.period} that began on ${period.name}`
}

function settingOf(one: Limit): string {
  const span =
    one.period === undefined ? `window: ${formatDuration(one.window ?? DAY_MS)}` : `period: ${one.period}`
  return `detectors.spend_threshold.limits: { ${span}, usd: ${one.usd} }`
}

function usdOf(nanoUsd: number): number {
  return Number((nanoUsd / NANO_USD_PER_USD).toPrecision(6))
}

function noLimit() {
  return {
    kind: 'applies',
    what: 'limits',
    observed: 0,
    needed: 'at least one limit',
    setting: 'detectors.spend_threshold.limits: []',
  } as const
}
