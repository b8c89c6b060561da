import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration, HOUR_MS } from '../../usage/duration.ts'
import { CALM, endOfHour } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf } from '../profile.ts'
import { counted } from '../sentence.ts'
import { commonSettings } from '../settings.ts'
import { check } from '../trace.ts'
import { span } from '../window.ts'

const days = durationMs.refine((ms) => ms >= DAY_MS && ms <= 3_650 * DAY_MS, {
  message: 'expected a duration from 1d to 3650d',
})

const settings = z.strictObject({
  ...commonSettings('info'),
  // Whether and when keys are rotated is the operator's rule, and keyhound knows only when it saw a key first.
  enabled: z.boolean().default(false).describe('true switches this detector on.'),
  max_age: days
    .prefault('90d')
    .describe('A key that was first seen longer ago than this is due for rotation.'),
  remind_every: days.prefault('30d').describe('How often it is told again while the key is still used.'),
})

export const keyAge = defineDetector({
  name: 'key_age',
  description: 'A key is used that is due for rotation.',
  settings,
  judgesTheMoment: true,
  detect: (detection, trace) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    const ageMs = nowMs - profile.firstSeenMs
    const isDue = check(trace, ageMs >= chosen.max_age, () => ({
      kind: 'unusual',
      what: 'days since the key was first seen',
      observed: historyOf(profile, nowMs).days,
      needed: `at least ${formatDuration(chosen.max_age)}`,
      setting: `detectors.key_age.max_age: ${formatDuration(chosen.max_age)}`,
    }))
    if (!isDue) return []
    const reminders = Math.floor((ageMs - chosen.max_age) / chosen.remind_every)
    const dueMs = profile.firstSeenMs + chosen.max_age + reminders * chosen.remind_every
    // Told with the first use since it is due, and not again once that use has been learnt.
    const isFirst = check(trace, profile.use.lastMs <= Math.ceil(dueMs / HOUR_MS) * HOUR_MS, () => ({
      kind: 'unusual',
      what: 'last use before this one',
      observed: new Date(profile.use.lastMs).toISOString(),
      needed: `before ${new Date(dueMs).toISOString()}: it was told then`,
      setting: `detectors.key_age.remind_every: ${formatDuration(chosen.remind_every)}`,
    }))
    const isUsed = usage.rollups.some(
      ({ bucketMs, requests, refused }) =>
        bucketMs >= profile.learnedUntilMs && bucketMs <= nowMs && requests > refused,
    )
    return isFirst && isUsed ? [findingOf(detection, reminders)] : []
  },
  calm: ({ profile, settings: chosen, nowMs }) =>
    endOfHour(nowMs) - profile.firstSeenMs < chosen.max_age ? CALM : undefined,
})

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  reminders: number,
): Finding {
  const history = historyOf(profile, nowMs)
  return {
    detector: 'key_age',
    keyId: usage.key.keyId,
    scope: '',
    severity: chosen.severity,
    summary:
      `${usage.key.keyId} is due for rotation: it was first seen ${counted(Math.floor(history.days), 'day')} ago, ` +
      `and ${counted(Math.floor(chosen.max_age / DAY_MS), 'day')} are allowed`,
    evidence: {
      metric: 'age_days',
      observed: history.days,
      expected: { at_most: Number((chosen.max_age / DAY_MS).toPrecision(4)) },
      window: span(profile.firstSeenMs, nowMs),
      history,
      setting: `detectors.key_age.max_age: ${formatDuration(chosen.max_age)}`,
      reminders,
    },
  }
}
