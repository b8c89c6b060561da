import { z } from 'zod'
import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import { sumWithin } from '../../usage/key-usage.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import { CALM, calmUnlessKnown, endOfHour } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, isLearning, LEARN_DELAY_MS } from '../profile.ts'
import { beyondPeakRate, scoreOfRate } from '../score.ts'
import { durationInWords } from '../sentence.ts'
import { commonSettings, learningSettings } from '../settings.ts'
import { LONGER_THAN_HABIT, MISSED_HOURS, SILENCE_NEWS_MS, silentFromMs } from '../silence.ts'
import { check } from '../trace.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('info'),
  ...learningSettings({ history: '7d', events: 50 }),
})

/** How long the alert stands: a silence that lasts is no news. */
const STANDS_MS = DAY_MS
/** Silences of the evaluation fleets' keys become rarer with about the square of their length. */
const SILENCE_POWER = 2

/** What has been learnt ended before that. */
const JUST_NOW_MS = LEARN_DELAY_MS

export const keySilent = defineDetector({
  name: 'key_silent',
  description: 'A key with a steady habit has gone quiet far beyond it.',
  settings,
  judgesTheMoment: true,
  restsOnSilence: true,
  detect: (detection, trace) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    // Nearly always it has just been used, which others ask as well.
    if (trace === undefined) {
      const { requests, refused } = sumWithin(usage, JUST_NOW_MS, nowMs)
      if (requests > refused) return []
    }
    const { lastMs } = profile.use
    const since = digestOf(usage, nowMs).since(lastMs)
    const isQuiet = check(trace, since.requests <= since.refused, () => ({
      kind: 'unusual',
      what: 'used since the last hour learnt',
      observed: true,
      needed: 'no use',
    }))
    if (!isQuiet) return []
    const fromMs = silentFromMs(profile)
    const hasHabit = check(trace, fromMs !== undefined, () => ({
      kind: 'applies',
      what: 'a steady habit',
      observed: false,
      needed: `${MISSED_HOURS} usual hours of use within 10 days, known for 7`,
    }))
    if (fromMs === undefined || !hasHabit) return []
    const isLong = check(trace, nowMs >= fromMs, () => ({
      kind: 'unusual',
      what: 'hours without use',
      observed: hoursOf(nowMs - lastMs),
      needed:
        `${hoursOf(fromMs - lastMs)}: ${MISSED_HOURS} usual hours of use and ` +
        `${LONGER_THAN_HABIT} times the longest pause before`,
    }))
    if (!isLong) return []
    const isNews = check(trace, nowMs < fromMs + SILENCE_NEWS_MS, () => ({
      kind: 'unusual',
      what: 'hours since the silence went beyond the habit',
      observed: hoursOf(nowMs - fromMs),
      needed: `less than ${hoursOf(SILENCE_NEWS_MS)}: it was told then`,
    }))
    return isNews ? [findingOf(detection, fromMs)] : []
  },
  calm: (detection) =>
    calmUnlessKnown(detection, () => {
      const fromMs = silentFromMs(detection.profile)
      return fromMs === undefined || endOfHour(detection.nowMs) < fromMs ? CALM : undefined
    }),
})

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  fromMs: number,
): Finding {
  const { lastMs, longestPauseMs } = profile.use
  // Of the silence when it went beyond the habit, so that it is the same at every tick that tells of it.
  const rate = beyondPeakRate(
    {
      observed: fromMs - lastMs,
      peak: Math.max(longestPauseMs, HOUR_MS),
      days: historyOf(profile, fromMs).days,
    },
    SILENCE_POWER,
  )
  return {
    detector: 'key_silent',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    score: scoreOfRate(rate),
    summary:
      `${usage.key.keyId} has not been used for ${durationInWords(bucketOf(nowMs - lastMs))}, ` +
      `in which it usually is for at least ${MISSED_HOURS} hours`,
    evidence: {
      metric: 'silent_hours',
      observed: hoursOf(nowMs - lastMs),
      expected: { at_most: hoursOf(fromMs - lastMs), longest_pause_hours: hoursOf(longestPauseMs) },
      window: span(lastMs, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.key_silent.severity: ${chosen.severity}`,
      last_used: new Date(lastMs).toISOString(),
      holds_until: new Date(fromMs + STANDS_MS).toISOString(),
    },
  }
}

/** Whole hours. */
function bucketOf(ms: number): number {
  return Math.max(1, Math.floor(ms / HOUR_MS)) * HOUR_MS
}

/** Hours with one decimal. */
function hoursOf(ms: number): number {
  return Math.round((10 * ms) / HOUR_MS) / 10
}
