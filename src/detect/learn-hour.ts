import { HOUR_MS, DAY_MS, WEEK_MS } from '../usage/duration.ts'
import { HOURS_OF_WEEK, hourOfWeek } from '../usage/hour-of-week.ts'
import { sumRollups } from '../usage/key-usage.ts'
import { bucketStart, type Rollup, type UsageTotals } from '../usage/rollup.ts'
import type { SourceUsage } from '../usage/source.ts'
import { withAddresses } from './address-habit.ts'
import { expectedVolume, habitualRate } from './expected-volume.ts'
import { settleKnown, withSeen } from './known-values.ts'
import { withPlaces } from './places.ts'
import { withSources } from './source-habit.ts'
import { isKeptHour } from './ledger.ts'
import {
  LEDGER_DAYS,
  PRESENCE_DECAY_PER_WEEK,
  RATE_DECAY_PER_WEEK,
  type Ledger,
  type LedgerEntry,
  type PerRequest,
  type Profile,
  type VolumeHabit,
  type WeekHabit,
} from './profile.ts'
import { withRefusals } from './refusal-habit.ts'
import { withUse } from './use-record.ts'

/** One closed hour of a key: what a store's KeyHour tells. */
export interface ClosedHour {
  readonly hourMs: number
  readonly rollups: readonly Rollup[]
  readonly sources?: readonly SourceUsage[] | undefined
  readonly busiestFiveMinutes?: number | undefined
  readonly suspect: boolean
}

/** Half-life of dispersion, peaks and request sizes: two weeks. */
const FADE_PER_HOUR = 0.5 ** (1 / (14 * 24))
/** Half-life of the level: half a day, so that it speaks of about the last day. */
const LEVEL_FADE_PER_HOUR = 0.5 ** (1 / 12)
/** A suspect hour counts as this much of an hour of use, unless use was usual in it: new habits take a month to form. */
const SUSPECT_PRESENCE = 0.25
/** Means of few requests are drawn towards the usual as if so many more usual requests had been made. */
export const SIZE_PRIOR_REQUESTS = 5
/** A silence longer than this is a pause, not a habit of varying: it lowers the rates and widens nothing. */
const PAUSE_HOURS = HOURS_OF_WEEK

/**
 * The profile after one more closed hour. Hours between the last learnt one and this one were without usage and are
 * taught as such. An hour that was learnt before changes nothing. A suspect hour adds its facts; of its volume only
 * what is within reach of the usual is taught, its presence counts a quarter, and its sizes and spread are not taught,
 * so that a thief does not become a habit.
 */
export function learnHour(profile: Profile, hour: ClosedHour, timeZone: string): Profile {
  if (hour.hourMs < profile.learnedUntilMs) return profile
  const awake = skipSilence(inZone(profile, timeZone, hour.hourMs), hour.hourMs)
  const totals = sumRollups(hour.rollups)
  const used = totals.requests > 0
  return {
    ...awake,
    learnedUntilMs: hour.hourMs + HOUR_MS,
    events: awake.events + totals.requests,
    ...habitsAfter(awake, hour, totals),
    countries: withSeen(settleKnown(awake.countries, hour.hourMs), hour, (rollup) => rollup.country),
    models: withSeen(settleKnown(awake.models, hour.hourMs), hour, (rollup) => rollup.model),
    places: withPlaces(awake.places, hour.sources ?? []),
    sources: sourcesAfter(awake, hour, totals),
    ledger: used ? ledgerAfter(awake.ledger, hour.hourMs, totals) : awake.ledger,
    use: withUse(awake.use, hour.hourMs, totals.requests - totals.refused),
    refusals: withRefusals(awake.refusals, hour, totals),
    addresses: withAddresses(awake.addresses, hour),
  }
}

/** Facts, taught by suspect hours too: that an address is there is no habit yet. */
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
    requests: week.requests.map((value) => rounded(value * RATE_DECAY_PER_WEEK ** weeks)),
    active: week.active.map((value) => rounded(value * PRESENCE_DECAY_PER_WEEK ** weeks)),
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
  if (hour.suspect) {
    const requests = Math.min(made, reachOf(profile, hour.hourMs))
    const active = made > 0 ? Math.max(SUSPECT_PRESENCE, presence(week, slot)) : 0
    return { week: withSlot(week, slot, { requests, active }), volume: profile.volume }
  }
  const counted = withCount(profile.volume, { usual, requests: made })
  return {
    week: withSlot(week, slot, { requests: made, active: made > 0 ? 1 : 0 }),
    volume: made > 0 ? withSizes(counted, hour, totals) : counted,
  }
}

/** The most that a suspect hour may teach: two standard deviations above what is usual. */
function reachOf(profile: Profile, hourMs: number): number {
  const { mean, size } = expectedVolume(profile, hourMs, hourMs + HOUR_MS)
  return Math.round(mean + 2 * Math.sqrt(mean + (mean * mean) / size))
}

/** How often this hour of the week has been in use, 0 to 1: teaching just this changes nothing. */
function presence(week: WeekHabit, slot: number): number {
  const times = week.taught[slot] ?? 0
  const weight = (1 - PRESENCE_DECAY_PER_WEEK ** times) / (1 - PRESENCE_DECAY_PER_WEEK)
  return weight > 0 ? Math.min(1, (week.active[slot] ?? 0) / weight) : 0
}

function withSlot(week: WeekHabit, slot: number, hour: { requests: number; active: number }): WeekHabit {
  return {
    taught: week.taught.with(slot, (week.taught[slot] ?? 0) + 1),
    requests: week.requests.with(
      slot,
      rounded((week.requests[slot] ?? 0) * RATE_DECAY_PER_WEEK + hour.requests),
    ),
    active: week.active.with(slot, rounded((week.active[slot] ?? 0) * PRESENCE_DECAY_PER_WEEK + hour.active)),
  }
}

function withCount(
  volume: VolumeHabit,
  { usual, requests }: { usual: number; requests: number },
): VolumeHabit {
  return {
    ...volume,
    excess: rounded(volume.excess * FADE_PER_HOUR + (requests - usual) ** 2 - requests),
    squares: rounded(volume.squares * FADE_PER_HOUR + usual ** 2),
    recentRequests: rounded(volume.recentRequests * LEVEL_FADE_PER_HOUR + requests),
    recentUsual: rounded(volume.recentUsual * LEVEL_FADE_PER_HOUR + usual),
    peakRequests: rounded(Math.max(volume.peakRequests * FADE_PER_HOUR, requests)),
  }
}

function withSizes(volume: VolumeHabit, hour: ClosedHour, totals: UsageTotals): VolumeHabit {
  const made = totals.requests - totals.refused
  const tokens = totals.inputTokens + totals.outputTokens
  const fiveMinutes = hour.busiestFiveMinutes ?? made
  const usualSize = volume.tokens.requests > 0 ? volume.tokens.sum / volume.tokens.requests : tokens / made
  const size = (tokens + SIZE_PRIOR_REQUESTS * usualSize) / (made + SIZE_PRIOR_REQUESTS)
  return {
    ...volume,
    peakFiveMinutes: rounded(Math.max(volume.peakFiveMinutes * FADE_PER_HOUR, fiveMinutes)),
    peakTokensPerRequest: rounded(Math.max(volume.peakTokensPerRequest * FADE_PER_HOUR, size)),
    peakTokens: rounded(Math.max(volume.peakTokens * FADE_PER_HOUR, tokens)),
    peakCostNanoUsd: rounded(Math.max(volume.peakCostNanoUsd * FADE_PER_HOUR, totals.costNanoUsd)),
    tokens: withHour(volume.tokens, made, tokens),
    costNanoUsd: withHour(volume.costNanoUsd, made - totals.unpriced, totals.costNanoUsd),
  }
}

function withHour(sizes: PerRequest, requests: number, sum: number): PerRequest {
  if (requests <= 0) return sizes
  const mean = sizes.requests > 0 ? sizes.sum / sizes.requests : sum / requests
  return {
    requests: rounded(sizes.requests * FADE_PER_HOUR + requests),
    sum: rounded(sizes.sum * FADE_PER_HOUR + sum),
    squares: rounded(sizes.squares * FADE_PER_HOUR + requests * (sum / requests - mean) ** 2),
    hours: rounded(sizes.hours * FADE_PER_HOUR + 1),
  }
}

function ledgerAfter(ledger: Ledger, hourMs: number, totals: UsageTotals): Ledger {
  const dayMs = bucketStart(hourMs, DAY_MS)
  const entry: LedgerEntry = [hourMs, totals.requests - totals.refused, totals.costNanoUsd, totals.unpriced]
  const today = ledger.days.at(-1)
  const days: readonly LedgerEntry[] =
    today?.[0] === dayMs
      ? ledger.days.with(-1, [dayMs, today[1] + entry[1], today[2] + entry[2], today[3] + entry[3]])
      : [...ledger.days, [dayMs, entry[1], entry[2], entry[3]]]
  return {
    hours: [...ledger.hours, entry].filter(([startMs]) => isKeptHour(startMs, hourMs)),
    days: days.filter(([startMs]) => startMs > dayMs - LEDGER_DAYS * DAY_MS),
  }
}

/** Six digits are far more than a habit is known to, and keep a stored profile small. */
function rounded(value: number): number {
  return Number(value.toPrecision(6))
}
