import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration } from '../../usage/duration.ts'
import { bucketStart, type Rollup } from '../../usage/rollup.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { countByValue } from '../known-values.ts'
import { entriesOf } from '../ledger-spans.ts'
import { historyOf } from '../profile.ts'
import { counted, listed } from '../sentence.ts'
import { commonSettings } from '../settings.ts'
import { spentWithin } from '../spending.ts'
import { check } from '../trace.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('info'),
  min_share: z
    .number()
    .gt(0)
    .max(1)
    .default(0.2)
    .describe('The least share of successful requests of the last day whose cost nobody knows.'),
  min_requests: z
    .int()
    .min(1)
    .default(20)
    .describe('Days with less than so many successful requests are not judged.'),
  remind_every: durationMs
    .refine((ms) => ms >= DAY_MS && ms <= 35 * DAY_MS && ms % DAY_MS === 0, {
      message: 'expected whole days from 1d to 35d',
    })
    .prefault('7d')
    .describe('How often it is told again while it lasts, whole days from 1d to 35d.'),
})

type UnpricedDetection = Detection<z.output<typeof settings>>
const NAMED = 3

export const unpricedTraffic = defineDetector({
  name: 'unpriced_traffic',
  description: 'Much of the use of a key has no known price, so that limits on spend do not see it.',
  settings,
  judgesTheMoment: true,
  detect: (detection, trace) => {
    const { settings: chosen, nowMs } = detection
    // Nearly always every price is known, and then this is all that is done.
    const isAny = check(trace, isUnpricedLately(detection), () => ({
      kind: 'unusual',
      what: 'requests of the last two hours whose cost nobody knows',
      observed: 0,
      needed: 'at least 1',
    }))
    if (!isAny) return []
    const day = spentWithin(detection, DAY_MS)
    const isMuch = check(trace, day.requests >= chosen.min_requests, () => ({
      kind: 'floor',
      what: 'successful requests in the last day',
      observed: day.requests,
      needed: `at least ${chosen.min_requests}`,
      setting: `detectors.unpriced_traffic.min_requests: ${chosen.min_requests}`,
    }))
    if (!isMuch) return []
    const isBlind = check(trace, isUnpriced(chosen, day), () => ({
      kind: 'unusual',
      what: 'share of them whose cost nobody knows',
      observed: Number((day.unpriced / day.requests).toPrecision(2)),
      needed: `at least ${chosen.min_share}`,
      setting: `detectors.unpriced_traffic.min_share: ${chosen.min_share}`,
    }))
    if (!isBlind) return []
    const sinceMs = bucketStart(nowMs, chosen.remind_every)
    const isNews = check(trace, !wasTold(detection, sinceMs), () => ({
      kind: 'unusual',
      what: 'told before',
      observed: true,
      needed: `not since ${new Date(sinceMs).toISOString()}`,
      setting: `detectors.unpriced_traffic.remind_every: ${formatDuration(chosen.remind_every)}`,
    }))
    return isNews ? [findingOf(detection, day)] : []
  },
  calm: () => (usage, nowMs) => !isUnpricedLately({ usage, nowMs }),
})

function isUnpricedLately({ usage, nowMs }: Pick<UnpricedDetection, 'usage' | 'nowMs'>): boolean {
  return digestOf(usage, nowMs).since(-Infinity).unpriced > 0
}

interface Counts {
  readonly requests: number
  readonly unpriced: number
}

function isUnpriced(chosen: z.output<typeof settings>, { requests, unpriced }: Counts): boolean {
  return requests >= chosen.min_requests && unpriced >= chosen.min_share * requests
}

/** True when it held already as of what has been learnt, or on an earlier day of the same period. */
function wasTold(detection: UnpricedDetection, sinceMs: number): boolean {
  const { profile, usage, settings: chosen } = detection
  const learntMs = profile.learnedUntilMs
  const learnt = usage.rollups.filter(({ bucketMs }) => bucketMs < learntMs)
  const before = spentWithin({ profile, usage: { ...usage, rollups: learnt }, nowMs: learntMs }, DAY_MS)
  if (learntMs > sinceMs && isUnpriced(chosen, before)) return true
  const todayMs = bucketStart(detection.nowMs, DAY_MS)
  return entriesOf(profile.ledger.days, sinceMs, todayMs).some(([, requests, , unpriced]) =>
    isUnpriced(chosen, { requests, unpriced }),
  )
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: UnpricedDetection,
  { fromMs, requests, unpriced }: Counts & { readonly fromMs: number },
): Finding {
  const models = unpricedModels(usage.rollups)
  const named = models.length === 0 ? '' : ` (lately ${listed(models, NAMED)})`
  const share = unpriced / requests
  return {
    detector: 'unpriced_traffic',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    summary:
      `${usage.key.keyId}: the cost of ${counted(unpriced, 'request')} of ${requests} within 1 day is unknown${named}; ` +
      `limits on spend do not see them`,
    evidence: {
      metric: 'unpriced_share',
      observed: Number(share.toPrecision(3)),
      expected: { below: chosen.min_share },
      window: span(fromMs, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.unpriced_traffic.min_share: ${chosen.min_share}`,
      requests,
      unpriced_requests: unpriced,
      recent_unpriced_models: models.slice(0, 12),
    },
  }
}

/** Models of recent unpriced requests, most used first. */
function unpricedModels(rollups: readonly Rollup[]): string[] {
  const unpriced = rollups
    .filter((rollup) => rollup.unpriced > 0)
    .map((rollup) => ({ ...rollup, requests: rollup.unpriced, refused: 0 }))
  return [...countByValue(unpriced, ({ model }) => model)]
    .toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .map(([model]) => model)
}
