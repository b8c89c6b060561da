import { z } from 'zod'
import { DAY_MS } from '../../usage/duration.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import { addressesAtMost, addressesToday, usualAddresses } from '../address-habit.ts'
import { CALM, calmUnlessKnown } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, isLearning } from '../profile.ts'
import { beyondPeakRate, scoreOfRate } from '../score.ts'
import { grouped } from '../sentence.ts'
import { commonSettings, learningSettings } from '../settings.ts'
import { addressesOf } from '../top-addresses.ts'
import { check } from '../trace.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('warning'),
  ...learningSettings({ history: '7d', events: 50 }),
  min_addresses: z
    .int()
    .min(2)
    .max(1_000)
    .default(10)
    .describe('Days with fewer distinct addresses are not judged.'),
  times_usual: z
    .number()
    .min(1)
    .default(3)
    .describe('How many times the addresses of its busiest day (which fades) a key must be used from.'),
})

/** Days with addresses that must have been learnt: a gateway may start to send addresses only today. */
const DAYS_MIN = 3
const NAMED_IN_EVIDENCE = 8
/** A day with times as many addresses as the busiest one is rarer by this power of it. */
const COUNT_POWER = 3

export const distinctAddresses = defineDetector({
  name: 'distinct_addresses',
  description: 'Use from far more addresses in a day than is usual for this key, as when it was sold on.',
  settings,
  judgesTheMoment: true,
  detect: (detection, trace) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    const usual = usualAddresses(profile.addresses, nowMs)
    // Days fade, so a few that are not fresh count as a little less.
    const isKnown = check(trace, usual.days >= DAYS_MIN - 0.5, () => ({
      kind: 'learning',
      what: 'days with addresses learnt',
      observed: Math.round(10 * usual.days) / 10,
      needed: `at least ${DAYS_MIN}`,
    }))
    if (!isKnown) return []
    // Nearly always a key has too few addresses, and nobody asks how many: then this is all that is done.
    if (trace === undefined && areFew(detection, usual.peak)) return []
    const open = usage.sources.filter(({ bucketMs }) => bucketMs >= profile.learnedUntilMs)
    const count = addressesToday(profile.addresses, open, nowMs)
    const isMany = check(trace, count >= chosen.min_addresses, () => ({
      kind: 'floor',
      what: 'distinct addresses today (UTC)',
      observed: count,
      needed: `at least ${chosen.min_addresses}`,
      setting: `detectors.distinct_addresses.min_addresses: ${chosen.min_addresses}`,
    }))
    if (!isMany) return []
    const isUnusual = check(trace, count > chosen.times_usual * usual.peak, () => ({
      kind: 'unusual',
      what: 'distinct addresses today (UTC)',
      observed: count,
      needed: `more than ${chosen.times_usual} times the ${Math.round(usual.peak)} of its busiest day`,
      setting: `detectors.distinct_addresses.times_usual: ${chosen.times_usual}`,
    }))
    return isUnusual ? [findingOf(detection, count, usual)] : []
  },
  calm: (detection) =>
    calmUnlessKnown(detection, () => {
      const { peak } = usualAddresses(detection.profile.addresses, detection.nowMs)
      return areFew(detection, peak) ? CALM : undefined
    }),
})

/** True when all addresses of today and of the recent usage together would not be too many. */
function areFew(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  peak: number,
): boolean {
  const recent = digestOf(usage, nowMs).addresses?.length ?? Infinity
  const most = addressesAtMost(profile.addresses, recent, nowMs)
  return most < chosen.min_addresses || most <= chosen.times_usual * peak
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  count: number,
  usual: { readonly days: number; readonly mean: number; readonly peak: number },
): Finding {
  const recent = addressesOf(usage.sources.filter(({ requests, refused }) => requests > refused))
  return {
    detector: 'distinct_addresses',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    score: scoreOfRate(beyondPeakRate({ observed: count, peak: usual.peak, days: usual.days }, COUNT_POWER)),
    summary:
      `${usage.key.keyId} was used from ${grouped(count)} addresses today; ` +
      `${grouped(usual.mean)} a day are usual, ${grouped(usual.peak)} on its busiest`,
    evidence: {
      metric: 'distinct_addresses',
      observed: count,
      expected: { mean: Number(usual.mean.toPrecision(3)), busiest_day: Math.round(usual.peak) },
      window: span(bucketStart(nowMs, DAY_MS), nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.distinct_addresses.times_usual: ${chosen.times_usual}`,
      days_learnt: Math.round(10 * usual.days) / 10,
      recent_addresses: recent.slice(0, NAMED_IN_EVIDENCE),
      countries: new Set(recent.map(({ country }) => country).filter((country) => country !== null)).size,
    },
  }
}
