import { z } from 'zod'
import { HOUR_MS } from '../../usage/duration.ts'
import { hourOfWeekName } from '../../usage/hour-of-week.ts'
import { sumRollups } from '../../usage/key-usage.ts'
import { CALM, calmUnlessKnown } from '../calm.ts'
import { defineDetector, type Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { presenceOf, type Presence } from '../presence.ts'
import { areBusyHours, isJourney, isNoneQuiet, quietHours, type UsedHour } from '../quiet-hours.ts'
import { historyOf, isLearning, type Profile } from '../profile.ts'
import { scoreOfRate } from '../score.ts'
import { counted, hourInWords } from '../sentence.ts'
import { freshAddresses } from '../source-excess.ts'
import { newAddressRate } from '../source-habit.ts'
import { hourScale } from '../surprise-habit.ts'
import { check, type Trace } from '../trace.ts'
import { budgetedSettings, learningSettings, severityOf, timeZoneSetting } from '../settings.ts'

const timeZone = timeZoneSetting.describe('The time zone in which this key keeps its hours.')

const settings = z.strictObject({
  ...budgetedSettings(),
  ...learningSettings({ history: '7d', events: 50 }),
  timezone: timeZone.default('UTC'),
  min_requests: z
    .number()
    .int()
    .min(1)
    .default(4)
    .describe(
      'Hours with less than so many successful requests are not judged, unless addresses that are new to the key make them: then two are enough, and one if the key keeps its addresses.',
    ),
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
  detect: (detection, trace) => {
    const { profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    // Nearly always its hours are usual ones, and then this is all that is done.
    if (trace === undefined && areBusyHours(profile, nowMs)) return []
    const presence = presenceOf(profile.week)
    const quiet = quietHours(detection, presence)
    const isQuiet = check(trace, quiet.length > 0, () => ({
      kind: 'unusual',
      what: 'hours in use that are far quieter than a typical hour of use',
      observed: quiet.length,
      needed: `at least one used in a tenth of the ${Number(presence.typical.toPrecision(2))} of the weeks that are typical`,
    }))
    if (!isQuiet) return []
    const rarest = quiet
      .map((hour) => ({ ...hour, strangers: freshShare(detection, hour.fromMs) }))
      .map((hour) => ({ ...hour, strangers: orTravellers(detection, presence, hour) }))
      .filter((hour) => isUnusual(detection, hour, trace))
      .toSorted((a, b) => a.tail - b.tail || b.hourMs - a.hourMs)[0]
    return rarest === undefined ? [] : [findingOf(detection, presence, rarest)]
  },
  calm: (detection) =>
    calmUnlessKnown(detection, () => {
      const { profile, nowMs } = detection
      return areBusyHours(profile, nowMs) || isNoneQuiet(profile, nowMs) ? CALM : undefined
    }),
})

/** Whether so many requests, by strangers or not, are enough for an hour so rare. */
function isUnusual(
  { profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  { requests, tail, strangers }: UsedHour & { readonly strangers: number | undefined },
  trace: Trace | undefined,
): boolean {
  const isKept = isAllStrange(strangers) && newAddressShare(profile, nowMs) <= KEPT_NEW_SHARE
  const ofStrangers = Math.min(STRANGE_REQUESTS_MIN, chosen.min_requests)
  const needed = isKept ? 1 : isAllStrange(strangers) ? ofStrangers : chosen.min_requests
  const enough = check(trace, requests >= needed, () => ({
    kind: 'floor',
    what: `successful requests in a quiet hour, ${Math.round(100 * (strangers ?? 0))} % of them by new addresses`,
    observed: requests,
    needed: `at least ${needed}`,
    setting: `detectors.unusual_hour.min_requests: ${chosen.min_requests}`,
  }))
  if (!enough) return false
  const isOne = requests < Math.min(2, chosen.min_requests)
  const tailMax = isOne ? chosen.tail : tailFor({ strangers, isKept }, chosen.tail)
  return check(trace, tail <= tailMax, () => ({
    kind: 'unusual',
    what: 'share of its hours of use that are as quiet as this one',
    observed: Number(tail.toPrecision(2)),
    needed: `at most ${tailMax}`,
    setting: `detectors.unusual_hour.tail: ${chosen.tail}`,
  }))
}

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  presence: Presence,
  { hourMs, fromMs, requests, slot, tail, strangers }: UsedHour & { readonly strangers: number | undefined },
): Finding {
  const history = historyOf(profile, nowMs)
  const zone = profile.timeZone === 'UTC' ? 'UTC' : profile.timeZone
  return {
    detector: 'unusual_hour',
    keyId: usage.key.keyId,
    scope: '',
    // The key's own addresses work overtime; a thief comes from one of his own. Without addresses nobody knows.
    severity: severityOf(chosen, (strangers ?? 1) >= STRANGE_SHARE ? 'warning' : 'info'),
    score: scoreOf({ profile, presence, nowMs }, { tail, requests, strangers }),
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
        start: new Date(Math.min(fromMs, hourMs)).toISOString(),
        end: new Date(Math.min(nowMs, hourMs + HOUR_MS)).toISOString(),
      },
      history,
      setting: `detectors.unusual_hour.tail: ${chosen.tail}`,
      chance: Number(tail.toPrecision(2)),
      used_in_share_of_weeks: Number((presence.chances[slot] ?? 0).toPrecision(2)),
      time_zone: profile.timeZone,
      share_of_new_addresses: strangers === undefined ? null : Number(strangers.toPrecision(2)),
    },
  }
}

/** Of hours of use, those with n requests and more are so many by this power of n. */
const REQUESTS_POWER = -1
/** Of quiet hours in which a key is used, so many are also far below a typical one. */
const FAR_SHARE = 0.25

/** Hours as quiet as this in which the key is used in a day, with so many requests, by addresses as new as these. */
function scoreOf(
  {
    profile,
    presence,
    nowMs,
  }: { readonly profile: Profile; readonly presence: Presence; readonly nowMs: number },
  {
    tail,
    requests,
    strangers,
  }: { readonly tail: number; readonly requests: number; readonly strangers: number | undefined },
): number {
  const perDay = tail * presence.hoursPerDay
  const newPerDay = Math.min(1, newAddressRate(profile.sources, { ...profile, nowMs }))
  const newShare = newAddressShare(profile, nowMs)
  const ofStrangers = isAllStrange(strangers) ? newShare : (strangers ?? 0) >= STRANGE_SHARE ? newPerDay : 1
  return scoreOfRate(
    FAR_SHARE * perDay ** (1 / hourScale(profile)) * requests ** REQUESTS_POWER * ofStrangers,
  )
}

/** Of the addresses that a key uses, so many are new at any time: an address is new for a day. */
function newAddressShare(profile: Profile, nowMs: number): number {
  const newPerDay = Math.min(1, newAddressRate(profile.sources, { ...profile, nowMs }))
  return newPerDay / Math.max(1, profile.sources.addresses.length)
}

/** When (nearly) all of it does, to a key whose use is so seldom by new addresses, one request is enough. */
const ALL_STRANGE_SHARE = 0.9
/** To any other key two: each of them is new and at an odd hour, and one may be a slip. */
const STRANGE_REQUESTS_MIN = 2
const KEPT_NEW_SHARE = 0.03

function isAllStrange(strangers: number | undefined): boolean {
  return (strangers ?? 0) >= ALL_STRANGE_SHARE
}

/** So much of an odd hour must come from addresses that are new to the key for it to be more than odd. */
const STRANGE_SHARE = 0.5
/** An hour may be so much less rare when it is addresses new to the key that use it: two signs, each weaker alone. */
const STRANGE_TAIL_FACTOR = 4
/** And so much where new addresses are seldom. */
const KEPT_TAIL_FACTOR = 8

/** The share of strangers; 0 when they are the key's people on a journey. */
function orTravellers(
  detection: Detection<z.output<typeof settings>>,
  presence: Presence,
  hour: UsedHour & { readonly strangers: number | undefined },
): number | undefined {
  const { strangers } = hour
  return (strangers ?? 0) >= STRANGE_SHARE && isJourney(detection, presence, hour) ? 0 : strangers
}

function tailFor(
  { strangers, isKept }: { readonly strangers: number | undefined; readonly isKept: boolean },
  tail: number,
): number {
  if (isKept) return Math.min(0.5, KEPT_TAIL_FACTOR * tail)
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
