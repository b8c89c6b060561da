import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration, MINUTE_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS, sumWithin } from '../../usage/key-usage.ts'
import { calmUnlessKnown, type Calm } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, isLearning } from '../profile.ts'
import { scoreOfChance } from '../score.ts'
import { counted, durationInWords } from '../sentence.ts'
import { commonSettings, learningSettings } from '../settings.ts'
import { logBinomialTail } from '../statistics.ts'
import { check } from '../trace.ts'
import type { RefusalHabit } from '../refusal-habit.ts'
import { windowOf } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('info'),
  ...learningSettings({ history: '3d', events: 50 }),
  window: durationMs
    .refine((ms) => ms >= MINUTE_MS && ms <= RECENT_USAGE_MS / 2 && ms % MINUTE_MS === 0, {
      message: 'expected whole minutes from 1m to 1h',
    })
    .prefault('10m')
    .describe('Sliding window that ends now, whole minutes from 1m to 1h.'),
  min_refused: z
    .int()
    .min(1)
    .default(20)
    .describe('Windows with less than so many refused calls (status 400 and above) are not judged.'),
  min_share: z
    .number()
    .gt(0)
    .max(1)
    .default(0.5)
    .describe('The least share of refused calls that is worth an alert, whatever is usual for the key.'),
})

/** ln of the chance of so many refused calls at the share of the key's worst hour: below it is no chance. */
const LOG_CHANCE = Math.log(1e-6)
/** Smaller chances are written as this. */
const CHANCE_MIN = 1e-300
/** Before the habit is known, one call in a hundred is taken to be refused, with the weight of so many calls. */
const PRIOR_SHARE = 0.01
const PRIOR_CALLS = 50

export const errorRate = defineDetector({
  name: 'error_rate',
  description: 'A far larger share of refused calls than is usual for this key.',
  restsOnSilence: true,
  settings,
  detect: (detection, trace) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    const { requests, refused } = sumWithin(usage, chosen.window, nowMs)
    const isMuch = check(trace, refused >= chosen.min_refused, () => ({
      kind: 'floor',
      what: `refused calls within ${durationInWords(chosen.window)}`,
      observed: refused,
      needed: `at least ${chosen.min_refused}`,
      setting: `detectors.error_rate.min_refused: ${chosen.min_refused}`,
    }))
    if (!isMuch) return []
    const share = refused / requests
    const isLarge = check(trace, share >= chosen.min_share, () => ({
      kind: 'unusual',
      what: `share of refused calls within ${durationInWords(chosen.window)}`,
      observed: Number(share.toPrecision(3)),
      needed: `at least ${chosen.min_share}`,
      setting: `detectors.error_rate.min_share: ${chosen.min_share}`,
    }))
    if (!isLarge) return []
    const usual = usualShare(profile.refusals)
    const worst = Math.max(usual, profile.refusals.peakShare)
    const logChance = logBinomialTail(refused, requests, worst)
    const isUnusual = check(trace, logChance <= LOG_CHANCE, () => ({
      kind: 'unusual',
      what: `chance of so many refused calls at the share of the worst hour, ${Number(worst.toPrecision(2))}`,
      observed: chanceOf(logChance),
      needed: 'at most 1e-6',
    }))
    return isUnusual ? [findingOf(detection, { requests, refused, usual, logChance })] : []
  },
  calm: (detection) => calmUnlessKnown(detection, () => whileFew(detection.settings)),
})

function whileFew({ window, min_refused: minRefused }: z.output<typeof settings>): Calm {
  return (usage, nowMs) => sumWithin(usage, window, nowMs).refused < minRefused
}

function usualShare({ requests, refused }: RefusalHabit): number {
  return (refused + PRIOR_SHARE * PRIOR_CALLS) / (requests + PRIOR_CALLS)
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  seen: { requests: number; refused: number; usual: number; logChance: number },
): Finding {
  const { requests, refused, usual, logChance } = seen
  return {
    detector: 'error_rate',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    score: scoreOfChance(logChance, DAY_MS / chosen.window),
    summary:
      `${usage.key.keyId}: ${percent(refused / requests)} of its calls were refused within ` +
      `${durationInWords(chosen.window)} (${refused} of ${counted(requests, 'call')}); ${percent(usual)} is usual`,
    evidence: {
      metric: 'refused_share',
      observed: Number((refused / requests).toPrecision(3)),
      expected: {
        usual: Number(usual.toPrecision(2)),
        worst_hour: Number(profile.refusals.peakShare.toPrecision(2)),
      },
      window: windowOf(chosen.window, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.error_rate.min_share: ${chosen.min_share}`,
      judged_window: formatDuration(chosen.window),
      refused,
      requests,
      chance: chanceOf(logChance),
    },
  }
}

function chanceOf(logChance: number): number {
  return Number(Math.max(CHANCE_MIN, Math.exp(logChance)).toPrecision(2))
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`
}
