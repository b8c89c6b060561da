import { z } from 'zod'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { hourOfWeek, hourOfWeekName } from '../../usage/hour-of-week.ts'
import { sumRollups, type KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { presenceOf, type Presence } from '../presence.ts'
import { historyOf, isLearning } from '../profile.ts'
import { counted, hourInWords } from '../sentence.ts'
import { freshAddresses } from '../source-excess.ts'
import { gradedSettings, learningSettings, severityOf, timeZoneSetting } from '../settings.ts'

const timeZone = timeZoneSetting.describe('The time zone in which this key keeps its hours.')

const settings = z.strictObject({
  ...gradedSettings(),
  ...learningSettings({ history: '7d', events: 50 }),
  timezone: timeZone.default('UTC'),
  min_requests: z
    .number()
    .int()
    .min(1)
    .default(4)
    .describe('Hours with less than so many successful requests are not judged.'),
  tail: z
    .number()
    .gt(0)
    .max(0.5)
    .default(0.01)
    .describe(
      'How rare an hour must be: the share of the use of this key that falls into hours as quiet as this one.',
    ),
})

export const unusualHour = defineDetector({
  name: 'unusual_hour',
  description: 'Use at an hour of the week at which this key is hardly ever used.',
  settings,
  detect: (detection) => {
    const { usage, profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    const presence = presenceOf(profile.week)
    const rarest = rareHours(usage, nowMs)
      .filter((hour) => hour.requests >= chosen.min_requests)
      .map((hour) => ({ ...hour, slot: hourOfWeek(hour.hourMs, profile.timeZone) }))
      .map((hour) => ({ ...hour, strangers: freshShare(detection, hour.hourMs) }))
      .filter(({ slot, strangers }) => isRare(presence, slot, tailFor(strangers, chosen.tail)))
      .toSorted(
        (a, b) => (presence.tails[a.slot] ?? 1) - (presence.tails[b.slot] ?? 1) || b.hourMs - a.hourMs,
      )[0]
    return rarest === undefined ? [] : [findingOf(detection, presence, rarest)]
  },
})

interface UsedHour {
  readonly hourMs: number
  /** Successful requests in the hour so far. */
  readonly requests: number
}

/** An hour that closed this recently is still judged: the request that decides may have come in its last second. */
const JUDGED_AFTER_MS = 5 * MINUTE_MS
/** An hour must also be this much less likely to be used than a typical hour of use: keys in use round the clock have none. */
const FAR_BELOW_TYPICAL = 0.1

function rareHours(usage: KeyUsage, nowMs: number): UsedHour[] {
  const openMs = bucketStart(nowMs, HOUR_MS)
  const hours = nowMs - openMs < JUDGED_AFTER_MS ? [openMs, openMs - HOUR_MS] : [openMs]
  return hours.map((hourMs) => {
    const { requests, refused } = sumRollups(
      usage.rollups.filter(
        ({ bucketMs }) => bucketMs >= hourMs && bucketMs < hourMs + HOUR_MS && bucketMs <= nowMs,
      ),
    )
    return { hourMs, requests: requests - refused }
  })
}

function isRare(presence: Presence, slot: number, tail: number): boolean {
  return (
    (presence.tails[slot] ?? 1) <= tail &&
    (presence.chances[slot] ?? 1) <= FAR_BELOW_TYPICAL * presence.typical
  )
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  presence: Presence,
  {
    hourMs,
    requests,
    slot,
    strangers,
  }: UsedHour & { readonly slot: number; readonly strangers: number | undefined },
): Finding {
  const history = historyOf(profile, nowMs)
  const zone = profile.timeZone === 'UTC' ? 'UTC' : profile.timeZone
  return {
    detector: 'unusual_hour',
    keyId: usage.key.keyId,
    scope: '',
    // The key's own addresses work overtime; a thief comes from one of his own. Without addresses nobody knows.
    severity: severityOf(chosen, (strangers ?? 1) >= STRANGE_SHARE ? 'warning' : 'info'),
    summary:
      `${usage.key.keyId} made ${counted(requests, 'request')} on ${hourInWords(slot)} ${zone}, when it is hardly ever used ` +
      `(${counted(Math.floor(history.days), 'day')} of history; usually ${usualHours(presence)})`,
    evidence: {
      metric: 'hour_of_week',
      observed: { hour: hourOfWeekName(slot), requests },
      expected: {
        usual_hours: usualHours(presence),
        hours_per_day: Number(presence.hoursPerDay.toPrecision(2)),
      },
      window: {
        start: new Date(hourMs).toISOString(),
        end: new Date(Math.min(nowMs, hourMs + HOUR_MS)).toISOString(),
      },
      history,
      setting: `detectors.unusual_hour.tail: ${chosen.tail}`,
      chance: Number((presence.tails[slot] ?? 0).toPrecision(2)),
      used_in_share_of_weeks: Number((presence.chances[slot] ?? 0).toPrecision(2)),
      time_zone: profile.timeZone,
      share_of_new_addresses: strangers === undefined ? null : Number(strangers.toPrecision(2)),
    },
  }
}

/** So much of an odd hour must come from addresses that are new to the key for it to be more than odd. */
const STRANGE_SHARE = 0.5
/** An hour may be so much less rare when it is addresses new to the key that use it: two signs, each weaker alone. */
const STRANGE_TAIL_FACTOR = 4

function tailFor(strangers: number | undefined, tail: number): number {
  return (strangers ?? 0) >= STRANGE_SHARE ? Math.min(0.5, STRANGE_TAIL_FACTOR * tail) : tail
}

/** The share of the successful requests since `fromMs` that came from addresses first seen within a day; undefined when requests carry no address. */
function freshShare(
  { usage, profile, nowMs }: Pick<Detection<z.output<typeof settings>>, 'usage' | 'profile' | 'nowMs'>,
  fromMs: number,
): number | undefined {
  if (profile.sources.addresses.length === 0) return undefined
  const fresh = freshAddresses(profile, usage, nowMs)
  if (fresh === undefined) return 0
  const hour = usage.sources.filter(({ lastMs }) => lastMs >= fromMs)
  const all = sumRollups(hour)
  const strange = sumRollups(hour.filter(({ address }) => fresh.has(address)))
  return (strange.requests - strange.refused) / Math.max(1, all.requests - all.refused)
}

/** The span of weekday hours that holds the usual use: `07:00 to 19:00 on weekdays`. */
function usualHours({ chances, typical }: Presence): string {
  const busy = Array.from({ length: 24 }, (_, hour) => (chances[2 * 24 + hour] ?? 0) >= typical / 2)
  if (busy.every(Boolean)) return 'at all hours'
  const start = busy.findIndex((used, hour) => used && busy[(hour + 23) % 24] === false)
  if (start < 0) return 'at no fixed hours'
  let length = 0
  while (busy[(start + length) % 24] === true) length += 1
  const clock = (hour: number): string => `${String(hour % 24).padStart(2, '0')}:00`
  return `${clock(start)} to ${clock(start + length)} on weekdays`
}
