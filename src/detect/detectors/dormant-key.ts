import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration, HOUR_MS } from '../../usage/duration.ts'
import { rollupsWithin, sumRollups, type KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { breakdownOf } from '../breakdown.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, type Profile } from '../profile.ts'
import { counted } from '../sentence.ts'
import { commonSettings } from '../settings.ts'
import { check } from '../trace.ts'
import { pauseBefore, type Pause } from '../use-record.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...commonSettings('warning'),
  silent_for: durationMs
    .refine((ms) => ms >= DAY_MS && ms <= 3_650 * DAY_MS, { message: 'expected a duration from 1d to 3650d' })
    .prefault('7d')
    .describe('How long a key must have been silent, from 1d.'),
})

/** How long after the first use it is told. */
const NEWS_MS = 2 * HOUR_MS
/** A key that is used once in two weeks is not dormant in between: the pause must be so much longer than its longest. */
const LONGER_THAN_HABIT = 1.5

export const dormantKey = defineDetector({
  name: 'dormant_key',
  description: 'Use of a key that was silent for many days.',
  settings,
  detect: (detection, trace) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    const pause = newestPause(usage, profile, nowMs)
    const silentMs = pause === undefined ? 0 : pause.toMs - pause.fromMs
    const isLong = check(trace, silentMs >= chosen.silent_for, () => ({
      kind: 'unusual',
      what: 'days of silence that ended within the last two hours',
      observed: daysOf(silentMs),
      needed: `at least ${formatDuration(chosen.silent_for)}`,
      setting: `detectors.dormant_key.silent_for: ${formatDuration(chosen.silent_for)}`,
    }))
    if (pause === undefined || !isLong) return []
    const isRare = check(trace, silentMs > LONGER_THAN_HABIT * pause.longestBeforeMs, () => ({
      kind: 'unusual',
      what: 'days of silence',
      observed: daysOf(silentMs),
      needed: `more than ${LONGER_THAN_HABIT} times the longest pause before it, ${daysOf(pause.longestBeforeMs)} days`,
    }))
    return isRare ? [findingOf(detection, pause)] : []
  },
})

/** The pause that ended within NEWS_MS: before the open hours, or already learnt. Refused calls end none. */
function newestPause(usage: KeyUsage, profile: Profile, nowMs: number): Pause | undefined {
  const open = usage.rollups.find(
    ({ bucketMs, requests, refused }) =>
      bucketMs >= profile.learnedUntilMs && bucketMs <= nowMs && requests > refused,
  )
  const opened =
    open === undefined ? undefined : pauseBefore(profile.use, bucketStart(open.bucketMs, HOUR_MS))
  const pause = opened ?? profile.use.pause
  return pause !== undefined && nowMs - pause.toMs < NEWS_MS ? pause : undefined
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  pause: Pause,
): Finding {
  const rollups = rollupsWithin(usage, NEWS_MS, nowMs)
  const { requests, refused } = sumRollups(rollups)
  const days = Math.floor((pause.toMs - pause.fromMs) / DAY_MS)
  return {
    detector: 'dormant_key',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    summary:
      `${usage.key.keyId} is used again after ${counted(days, 'day')} of silence ` +
      `(${counted(requests - refused, 'request')} so far; its longest pause before was ${daysOf(pause.longestBeforeMs)} days)`,
    evidence: {
      metric: 'silent_days',
      observed: daysOf(pause.toMs - pause.fromMs),
      expected: { longest_pause_days: daysOf(pause.longestBeforeMs) },
      window: span(pause.toMs, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.dormant_key.silent_for: ${formatDuration(chosen.silent_for)}`,
      last_used: new Date(pause.fromMs).toISOString(),
      requests: requests - refused,
      ...breakdownOf(rollups),
    },
  }
}

/** Days with one decimal. */
function daysOf(ms: number): number {
  return Math.round((10 * ms) / DAY_MS) / 10
}
