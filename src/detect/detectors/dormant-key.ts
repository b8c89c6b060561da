import { z } from 'zod'
import { DAY_MS, durationMs, formatDuration, HOUR_MS } from '../../usage/duration.ts'
import { rollupsWithin, sumRollups, type KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { breakdownOf } from '../breakdown.ts'
import { CALM, endOfHour } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { historyOf, type Profile } from '../profile.ts'
import { placed } from '../places.ts'
import { beyondPeakRate, scoreOfRate } from '../score.ts'
import { counted } from '../sentence.ts'
import { budgetedSettings, severityOf } from '../settings.ts'
import { isOwnAddress, newAddressRate } from '../source-habit.ts'
import { check } from '../trace.ts'
import { pauseBefore, type Pause } from '../use-record.ts'
import { span } from '../window.ts'

const settings = z.strictObject({
  ...budgetedSettings(),
  silent_for: durationMs
    .refine((ms) => ms >= DAY_MS && ms <= 3_650 * DAY_MS, { message: 'expected a duration from 1d to 3650d' })
    .prefault('7d')
    .describe('How long a key must have been silent, from 1d.'),
})

/** A key that was hardly tried has no habit that a silence would break. */
const EVENTS_MIN = 5
/** How long after the first use it is told. */
const NEWS_MS = 2 * HOUR_MS
/** A key that is used once in two weeks is not dormant in between: the pause must be so much longer than its longest. */
const LONGER_THAN_HABIT = 1.5

export const dormantKey = defineDetector({
  name: 'dormant_key',
  description: 'Use of a key that was silent for many days.',
  settings,
  judgesTheMoment: true,
  detect: (detection, trace) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    const isUsed = check(trace, profile.events >= EVENTS_MIN, () => ({
      kind: 'learning',
      what: 'requests learnt',
      observed: profile.events,
      needed: `at least ${EVENTS_MIN}`,
    }))
    if (!isUsed) return []
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
  calm: ({ profile: { events, use }, nowMs }) => {
    const mayEndOne = pauseBefore(use, endOfHour(nowMs)) !== undefined
    const isNews = use.pause !== undefined && nowMs - use.pause.toMs < NEWS_MS
    return events < EVENTS_MIN || (!mayEndOne && !isNews) ? CALM : undefined
  },
})

/** The pause that ended within NEWS_MS: before the open hours, or already learnt. Refused calls end none. */
function newestPause(usage: KeyUsage, profile: Profile, nowMs: number): Pause | undefined {
  // Nearly always the key was used within the day, and then nothing that is open ends a pause.
  const mayEnd = pauseBefore(profile.use, nowMs) !== undefined
  const open = !mayEnd
    ? undefined
    : usage.rollups.find(
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
  const strange = isStrange(usage, profile, pause, nowMs)
  const days = Math.floor((pause.toMs - pause.fromMs) / DAY_MS)
  return {
    detector: 'dormant_key',
    keyId: usage.key.keyId,
    scope: '',
    severity: severityOf(chosen, strange === false ? 'info' : 'warning'),
    score: scoreOf(profile, pause, strange),
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
      new_address: strange ?? null,
      ...breakdownOf(rollups),
    },
  }
}

/** Silences of the evaluation fleets' keys become rarer with about the square of their length. */
const SILENCE_POWER = 2

/** And this share of them ends with an address that a key does not know. */
const STRANGE_SHARE = 0.1

function scoreOf(
  profile: Profile,
  { fromMs, toMs, longestBeforeMs }: Pause,
  strange: boolean | undefined,
): number {
  const days = (toMs - profile.firstSeenMs) / DAY_MS
  const peak = Math.max(DAY_MS, longestBeforeMs)
  const rate = beyondPeakRate({ observed: toMs - fromMs, peak, days }, SILENCE_POWER)
  return scoreOfRate(strange === true ? STRANGE_SHARE * rate : rate)
}

/**
 * True when a stranger woke the key: an address that is not its own, from another place, or, where addresses do not
 * change by themselves, from anywhere. False when its own did, undefined when addresses say nothing.
 */
function isStrange(usage: KeyUsage, profile: Profile, pause: Pause, nowMs: number): boolean | undefined {
  const own = new Set(
    profile.sources.addresses.filter((entry) => isOwnAddress(entry, nowMs)).map(({ address }) => address),
  )
  const made = usage.sources.filter(({ requests, refused }) => requests > refused)
  const strangers = made.filter(({ address }) => !own.has(address))
  if (made.length > 0 && strangers.length === 0) return false
  const known = profile.places.places.filter(({ firstMs }) => firstMs < pause.toMs)
  const names = new Set(known.map(({ name }) => name))
  if (names.size > 0 && placed(strangers, known).some(({ place }) => !names.has(place.name))) return true
  if (own.size === 0 || strangers.length === 0) return undefined
  // Would the key have met a new address in the meantime, had it gone on?
  const perDay = newAddressRate(profile.sources, { ...profile, nowMs: pause.fromMs + DAY_MS })
  return (perDay * (pause.toMs - pause.fromMs)) / DAY_MS < 1 ? true : undefined
}

/** Days with one decimal. */
function daysOf(ms: number): number {
  return Math.round((10 * ms) / DAY_MS) / 10
}
