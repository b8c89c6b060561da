import { HOUR_MS, DAY_MS, WEEK_MS } from '../usage/duration.ts'
import { HOURS_OF_WEEK, hourOfWeek } from '../usage/hour-of-week.ts'
import { sumRollups } from '../usage/key-usage.ts'
import { bucketStart, type Rollup, type UsageTotals } from '../usage/rollup.ts'
import type { SourceUsage } from '../usage/source.ts'
import { withAddresses } from './address-habit.ts'
import { habitualRate, meanRate } from './expected-volume.ts'
import { settleKnown, withSeen } from './known-values.ts'
import { withPlaces } from './places.ts'
import { withSources } from './source-habit.ts'
import { entryAt } from './ledger-spans.ts'
import { ledgerAfter } from './ledger.ts'
import {
  PRESENCE_DECAY_PER_WEEK,
  RATE_DECAY_PER_WEEK,
  type PerRequest,
  type Profile,
  type VolumeHabit,
  type WeekHabit,
} from './profile.ts'
import { presenceOf, presenceWeight } from './presence.ts'
import { withRefusals } from './refusal-habit.ts'
import { sixDigits } from './six-digits.ts'
import { withSurprise, type Surprises } from './surprise-habit.ts'
import { withUse } from './use-record.ts'
import { hourSurprise } from './volume-test.ts'

/** One closed hour of a key: what a store's KeyHour tells. */
export interface ClosedHour {
  readonly hourMs: number
  readonly rollups: readonly Rollup[]
  readonly sources?: readonly SourceUsage[] | undefined
  readonly busiestFiveMinutes?: number | undefined
  readonly largestTokensPerRequest?: number | undefined
  readonly suspect: boolean
}

/** Half-life of dispersion, peaks and request sizes: two weeks. */
const FADE_PER_HOUR = 0.5 ** (1 / (14 * 24))
/** Half-life of the level: half a day, so that it speaks of about the last day. */
const LEVEL_FADE_PER_HOUR = 0.5 ** (1 / 12)
/** Means of few requests are drawn towards the usual as if so many more usual requests had been made. */
export const SIZE_PRIOR_REQUESTS = 5
/** A silence longer than this is a pause, not a habit of varying: it lowers the rates and widens nothing. */
const PAUSE_HOURS = HOURS_OF_WEEK

/**
 * The profile after one more closed hour. Hours between the last learnt one and this one were without usage and are
 * taught as such. An hour that was learnt before changes nothing. A suspect hour, in which an alert was open, teaches
 * nothing: what was spent, when the key was used and which addresses and places it was used from are kept as facts.
 */
export function learnHour(profile: Profile, hour: ClosedHour, timeZone: string): Profile {
  if (hour.hourMs < profile.learnedUntilMs) return profile
  const awake = skipSilence(inZone(profile, timeZone, hour.hourMs), hour.hourMs)
  const totals = sumRollups(hour.rollups)
  const facts = factsAfter(awake, hour, totals)
  if (hour.suspect) return { ...awake, ...facts }
  return {
    ...awake,
    ...facts,
    events: awake.events + totals.requests,
    ...habitsAfter(awake, hour, totals),
    countries: withSeen(settleKnown(awake.countries, hour.hourMs), hour, (rollup) => rollup.country),
    models: withSeen(settleKnown(awake.models, hour.hourMs), hour, (rollup) => rollup.model),
    refusals: withRefusals(awake.refusals, hour, totals),
  }
}

/**
 * What is kept of every hour. That an address or a place is there is no habit yet: who has been seen for a day is told
 * from who came with the thief by when they came. Days with a suspect hour are marked, and not taught when they end.
 */
function factsAfter(
  profile: Profile,
  hour: ClosedHour,
  totals: UsageTotals,
): Pick<Profile, 'learnedUntilMs' | 'places' | 'sources' | 'ledger' | 'use' | 'addresses' | 'surprises'> {
  return {
    learnedUntilMs: hour.hourMs + HOUR_MS,
    places: withPlaces(profile.places, hour.sources ?? []),
    sources: sourcesAfter(profile, hour, totals),
    ledger: totals.requests > 0 ? ledgerAfter(profile.ledger, hour.hourMs, totals) : profile.ledger,
    use: withUse(profile.use, hour.hourMs, totals.requests - totals.refused),
    addresses: withAddresses(profile.addresses, hour),
    surprises: surprisesAfter(profile, hour, totals),
  }
}

/** Before it has been known for so long a key surprises every model. */
const SURPRISES_AFTER_MS = 3 * DAY_MS

/** An hour of the week that is used so often is no surprise: nothing needs to be computed. */
const USUAL_PRESENCE = 0.2

/** What the hour was to the models as they stood before it. */
function surprisesAfter(profile: Profile, hour: ClosedHour, totals: UsageTotals): Surprises {
  const { surprises } = profile
  if (hour.hourMs - profile.firstSeenMs < SURPRISES_AFTER_MS) return surprises
  const isUsed = totals.requests > totals.refused
  const { hourMs, suspect } = hour
  const ofVolume = isUsed && !suspect ? hourSurprise(profile, hourMs, totals) : 0
  const slot = hourOfWeek(hourMs, profile.timeZone)
  const isOdd = presence(profile.week, slot) < USUAL_PRESENCE
  const ofHour = isUsed && !suspect && isOdd ? presenceSurprise(profile.week, slot) : 0
  return {
    volume_spike: withSurprise(surprises.volume_spike, { hourMs, nats: ofVolume, suspect }),
    unusual_hour: withSurprise(surprises.unusual_hour, { hourMs, nats: ofHour, suspect }),
  }
}

/** -ln of how many hours as quiet as this one, or quieter, a day of the key is used in. */
function presenceSurprise(week: WeekHabit, slot: number): number {
  const presence = presenceOf(week)
  return -Math.log(presence.tailOf(slot) * presence.hoursPerDay)
}

function sourcesAfter(profile: Profile, hour: ClosedHour, totals: UsageTotals): Profile['sources'] {
  const usual = habitualRate(profile.week, hourOfWeek(hour.hourMs, profile.timeZone))
  const made = totals.requests - totals.refused
  return withSources(profile.sources, { hourMs: hour.hourMs, made, usual }, hour.sources ?? [])
}

/** Turns the week so that its slots are hours of another zone. */
function inZone(profile: Profile, timeZone: string, atMs: number): Profile {
  if (timeZone === profile.timeZone) return profile
  const turn = hourOfWeek(atMs, timeZone) - hourOfWeek(atMs, profile.timeZone) + HOURS_OF_WEEK
  const turned = (values: readonly number[]): number[] =>
    values.map((_, slot) => values[(slot - turn + 2 * HOURS_OF_WEEK) % HOURS_OF_WEEK] ?? 0)
  const { taught, requests, active } = profile.week
  return {
    ...profile,
    timeZone,
    week: { taught: turned(taught), requests: turned(requests), active: turned(active) },
  }
}

function skipSilence(profile: Profile, untilMs: number): Profile {
  const silentHours = Math.round((untilMs - profile.learnedUntilMs) / HOUR_MS)
  if (silentHours === 0) return profile
  let { week, volume, sources } = profile
  const wholeWeeks = Math.floor(silentHours / HOURS_OF_WEEK)
  if (wholeWeeks > 0) week = silentWeeks(week, wholeWeeks)
  for (let atMs = profile.learnedUntilMs + wholeWeeks * WEEK_MS; atMs < untilMs; atMs += HOUR_MS) {
    const slot = hourOfWeek(atMs, profile.timeZone)
    const usual = habitualRate(week, slot)
    if (silentHours <= PAUSE_HOURS) volume = withCount(volume, { usual, requests: 0 })
    sources = withSources(sources, { hourMs: atMs, made: 0, usual }, [])
    week = withSlot(week, slot, { requests: 0, active: 0 })
  }
  return { ...profile, week, volume, sources, learnedUntilMs: untilMs }
}

function silentWeeks(week: WeekHabit, weeks: number): WeekHabit {
  return {
    taught: week.taught.map((times) => times + weeks),
    requests: week.requests.map((value) => sixDigits(value * RATE_DECAY_PER_WEEK ** weeks)),
    active: week.active.map((value) => sixDigits(value * PRESENCE_DECAY_PER_WEEK ** weeks)),
  }
}

function habitsAfter(
  profile: Profile,
  hour: ClosedHour,
  totals: UsageTotals,
): Pick<Profile, 'week' | 'volume'> {
  const { week } = profile
  const slot = hourOfWeek(hour.hourMs, profile.timeZone)
  const usual = habitualRate(week, slot)
  const made = totals.requests - totals.refused
  const counted = withCount(profile.volume, { usual, requests: made })
  const requests = Math.min(
    made,
    Math.max(Math.ceil(usual), roomFor(profile, { hourMs: hour.hourMs, made, usual })),
  )
  return {
    week: withSlot(week, slot, { requests, active: made > 0 ? 1 : 0 }),
    volume: made > 0 ? withSizes(counted, hour, totals) : counted,
  }
}

/**
 * A day may teach the week's habit so many times what is usual for a day, and an hour so many times what is usual for the
 * busiest hour of its day: who would make a habit of more needs weeks for it. So few requests are free.
 */
const GROWTH_MAX = 3
const REQUESTS_FREE = 50
/** Before this a key has no usual day. */
const GROWTH_CAPPED_AFTER_MS = 7 * DAY_MS

/** What an hour may teach of volume. */
function roomFor(
  profile: Profile,
  { hourMs, made, usual }: { readonly hourMs: number; readonly made: number; readonly usual: number },
): number {
  if (hourMs - profile.firstSeenMs < GROWTH_CAPPED_AFTER_MS) return Infinity
  const [dayMs, madeBefore] = entryAt(profile.ledger.days, -1) ?? [0, 0]
  const ofDay = Math.max(REQUESTS_FREE, Math.round(GROWTH_MAX * 24 * meanRate(profile.week)))
  const left = ofDay - (dayMs === bucketStart(hourMs, DAY_MS) ? madeBefore : 0)
  // Nearly every hour is within that.
  if (made <= Math.max(REQUESTS_FREE, GROWTH_MAX * usual)) return left
  const midnight = hourOfWeek(hourMs, profile.timeZone) - (hourOfWeek(hourMs, profile.timeZone) % 24)
  const ofHours = Array.from({ length: 24 }, (_, hour) => habitualRate(profile.week, midnight + hour))
  return Math.min(left, Math.max(REQUESTS_FREE, Math.round(GROWTH_MAX * Math.max(...ofHours))))
}

/** How often this hour of the week has been in use, 0 to 1: teaching just this changes nothing. */
function presence(week: WeekHabit, slot: number): number {
  const weight = presenceWeight(week.taught[slot] ?? 0)
  return weight > 0 ? Math.min(1, (week.active[slot] ?? 0) / weight) : 0
}

function withSlot(week: WeekHabit, slot: number, hour: { requests: number; active: number }): WeekHabit {
  return {
    taught: week.taught.with(slot, (week.taught[slot] ?? 0) + 1),
    requests: week.requests.with(
      slot,
      sixDigits((week.requests[slot] ?? 0) * RATE_DECAY_PER_WEEK + hour.requests),
    ),
    active: week.active.with(
      slot,
      sixDigits((week.active[slot] ?? 0) * PRESENCE_DECAY_PER_WEEK + hour.active),
    ),
  }
}

function withCount(
  volume: VolumeHabit,
  { usual, requests }: { usual: number; requests: number },
): VolumeHabit {
  return {
    ...volume,
    excess: sixDigits(volume.excess * FADE_PER_HOUR + (requests - usual) ** 2 - requests),
    squares: sixDigits(volume.squares * FADE_PER_HOUR + usual ** 2),
    recentRequests: sixDigits(volume.recentRequests * LEVEL_FADE_PER_HOUR + requests),
    recentUsual: sixDigits(volume.recentUsual * LEVEL_FADE_PER_HOUR + usual),
    peakRequests: sixDigits(Math.max(volume.peakRequests * FADE_PER_HOUR, requests)),
  }
}

function withSizes(volume: VolumeHabit, hour: ClosedHour, totals: UsageTotals): VolumeHabit {
  const made = totals.requests - totals.refused
  const tokens = totals.inputTokens + totals.outputTokens
  const fiveMinutes = hour.busiestFiveMinutes ?? made
  const usualSize = volume.tokens.requests > 0 ? volume.tokens.sum / volume.tokens.requests : tokens / made
  const size = (tokens + SIZE_PRIOR_REQUESTS * usualSize) / (made + SIZE_PRIOR_REQUESTS)
  const largest = hour.largestTokensPerRequest ?? tokens / made
  return {
    ...volume,
    peakFiveMinutes: sixDigits(Math.max(volume.peakFiveMinutes * FADE_PER_HOUR, fiveMinutes)),
    peakTokensPerRequest: sixDigits(Math.max(volume.peakTokensPerRequest * FADE_PER_HOUR, size)),
    largestTokensPerRequest: sixDigits(Math.max(volume.largestTokensPerRequest * FADE_PER_HOUR, largest)),
    peakTokens: sixDigits(Math.max(volume.peakTokens * FADE_PER_HOUR, tokens)),
    peakCostNanoUsd: sixDigits(Math.max(volume.peakCostNanoUsd * FADE_PER_HOUR, totals.costNanoUsd)),
    tokens: withHour(volume.tokens, made, tokens),
    costNanoUsd: withHour(volume.costNanoUsd, made - totals.unpriced, totals.costNanoUsd),
  }
}

function withHour(sizes: PerRequest, requests: number, sum: number): PerRequest {
  if (requests <= 0) return sizes
  const mean = sizes.requests > 0 ? sizes.sum / sizes.requests : sum / requests
  return {
    requests: sixDigits(sizes.requests * FADE_PER_HOUR + requests),
    sum: sixDigits(sizes.sum * FADE_PER_HOUR + sum),
    squares: sixDigits(sizes.squares * FADE_PER_HOUR + requests * (sum / requests - mean) ** 2),
    hours: sixDigits(sizes.hours * FADE_PER_HOUR + 1),
  }
}
