import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration, MINUTE_MS } from '../../usage/duration.ts'
import { NANO_USD_PER_USD } from '../../usage/event.ts'
import { breakdownOf } from '../breakdown.ts'
import { defineDetector, type Detection } from '../detector.ts'
import { SEVERITIES, type Finding } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { counted, dollars, durationInWords } from '../sentence.ts'
import { commonSettings } from '../settings.ts'
import { spentWithin, type Spending } from '../spending.ts'

const limit = z.strictObject({
  window: durationMs
    .refine((ms) => ms >= MINUTE_MS && ms <= 31 * DAY_MS, { message: 'expected a duration from 1m to 31d' })
    .describe('Rolling window that ends now, from 1m to 31d.'),
  usd: z.number().gt(0).describe('US dollars that may be spent in the window.'),
  severity: z
    .enum(SEVERITIES)
    .optional()
    .describe('Severity of this limit, when it is not that of the detector.'),
})

const settings = z.strictObject({
  ...commonSettings('critical'),
  limits: z
    .array(limit)
    .max(16)
    .default([])
    .describe(
      'What a key may spend, for example { window: 1d, usd: 10 }. Each limit has its own alert; none is set by default.',
    ),
})

export const spendThreshold = defineDetector({
  name: 'spend_threshold',
  description: 'A key spent more than a limit within a rolling window.',
  settings,
  detect: (detection) => {
    const { profile, usage, settings: chosen, nowMs } = detection
    const findings = new Map<string, Finding>()
    for (const one of chosen.limits) {
      const spent = spentWithin({ profile, usage, nowMs }, one.window)
      if (spent.costNanoUsd <= one.usd * NANO_USD_PER_USD) continue
      // A limit written twice is one scope: the later one counts.
      const scope = `${formatDuration(one.window)}:${one.usd}`
      findings.set(scope, findingOf(detection, { limit: one, scope, spent }))
    }
    return [...findings.values()]
  },
})

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  { limit: over, scope, spent }: { limit: z.output<typeof limit>; scope: string; spent: Spending },
): Finding {
  const unpriced =
    spent.unpriced === 0 ? '' : `, not counting ${counted(spent.unpriced, 'request')} whose price is unknown`
  return {
    detector: 'spend_threshold',
    keyId: usage.key.keyId,
    scope,
    severity: over.severity ?? chosen.severity,
    summary:
      `${usage.key.keyId} spent ${dollars(spent.costNanoUsd)} within ${durationInWords(over.window)}; ` +
      `the limit is ${dollars(over.usd * NANO_USD_PER_USD)}${unpriced}`,
    evidence: {
      metric: 'cost_usd',
      observed: Number((spent.costNanoUsd / NANO_USD_PER_USD).toPrecision(6)),
      expected: { at_most: over.usd },
      window: { start: new Date(spent.fromMs).toISOString(), end: new Date(nowMs).toISOString() },
      history: historyOf(profile, nowMs),
      setting: `detectors.spend_threshold.limits: { window: ${formatDuration(over.window)}, usd: ${over.usd} }`,
      requests: spent.requests,
      unpriced_requests: spent.unpriced,
      ...breakdownOf(usage.rollups),
    },
  }
}
