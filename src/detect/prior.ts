import { DAY_MS } from '../usage/duration.ts'
import { HABIT_KEPT_MS, type KeyHabit } from './key-habit.ts'
import { isSamePlace, type Coordinates } from './places.ts'
import { logStudentTail } from './statistics.ts'

/** What is usual for the keys of a team, or of the fleet: what a key without a history of its own is judged by. */
export interface Prior {
  readonly of: 'team' | 'fleet'
  readonly teamId: string | undefined
  readonly keys: number
  /** When the first of them was seen. */
  readonly sinceMs: number
  /** The highest hour, and five minutes, of a key. */
  readonly peakRequests: Spread | undefined
  readonly peakFiveMinutes: Spread | undefined
  readonly peakTokens: Spread | undefined
  readonly peakCostNanoUsd: Spread | undefined
  readonly peakTokensPerRequest: Spread | undefined
  /** The mean of a key's requests. */
  readonly costNanoUsdPerRequest: Spread | undefined
  readonly countries: Shared
  readonly models: Shared
}

/** How a positive quantity differs from key to key: lognormal, by quantiles that a few odd keys do not move. */
export interface Spread {
  readonly keys: number
  /** Median, and standard deviation, of the natural logarithm. */
  readonly center: number
  readonly deviation: number
  /** The highest of the keys but for one in TOP_LEFT_OUT, one at the least: a single key that was stolen raises nothing. */
  readonly high: number
}

/** How many keys use a value. */
export interface Shared {
  /** Keys that use any. */
  readonly keys: number
  readonly users: ReadonlyMap<string, number>
}

export interface Priors {
  readonly fleet: Prior | undefined
  readonly teams: ReadonlyMap<string, Prior>
  /** Where several keys are at home: a key that appears there may have been moved. Undefined while it is unknown. */
  readonly sites: readonly Site[] | undefined
}

/** A place at which so many keys of the fleet are at home. */
export interface Site extends Coordinates {
  readonly keys: number
}

export const NO_PRIORS: Priors = { fleet: undefined, teams: new Map(), sites: undefined }

/** Fewer keys have no habit in common: what a new one does is unknown, and unknown is a value. */
export const PRIOR_KEYS_MIN = 10
/**
 * A key is new to a fleet that had been watched for so long when it came; by then keys that work once a week had been seen
 * too. Of a fleet that keyhound itself has just met every key is new, and those that are known first are those used most.
 */
const WATCHED_BEFORE_MS = 7 * DAY_MS
const TOP_LEFT_OUT = 50
/** Keys of one team differ by half at the least: as many that are alike by chance prove nothing of the next. */
const DEVIATION_MIN = Math.log(1.5)

/** The habits of the fleet and of its teams. A key counts once, whatever its volume. */
export function priorsOf(habits: readonly KeyHabit[], nowMs: number): Priors {
  const known = habits.filter(({ untilMs }) => untilMs > nowMs - HABIT_KEPT_MS && untilMs <= nowMs)
  if (known.length < PRIOR_KEYS_MIN) return NO_PRIORS
  const byTeam = Map.groupBy(known, ({ teamId }) => teamId)
  const teams = new Map<string, Prior>()
  for (const [teamId, members] of byTeam)
    if (teamId !== undefined && members.length >= PRIOR_KEYS_MIN)
      teams.set(teamId, priorOf(members, { of: 'team', teamId }))
  return { fleet: priorOf(known, { of: 'fleet', teamId: undefined }), teams, sites: sitesOf(known) }
}

/**
 * What a key is judged by until its own history suffices: its team's habit, else the fleet's. Undefined while neither is
 * known, and for a key that was there when they began to be.
 */
export function priorFor(
  { fleet, teams }: Priors,
  { teamId, firstSeenMs }: { readonly teamId: string | undefined; readonly firstSeenMs: number },
): Prior | undefined {
  const isNewTo = (prior: Prior | undefined): boolean =>
    prior !== undefined && firstSeenMs >= prior.sinceMs + WATCHED_BEFORE_MS
  const team = teamId === undefined ? undefined : teams.get(teamId)
  if (isNewTo(team)) return team
  return isNewTo(fleet) ? fleet : undefined
}

/** As evidence, `explain` and `GET /keys/{key_id}` name it. */
export function priorToJson({ of, teamId, keys }: Prior): {
  readonly of: string
  readonly team_id: string | null
  readonly keys: number
} {
  return { of, team_id: teamId ?? null, keys }
}

/** `the habit of 14 keys of its team`. */
export function priorInWords({ of, keys }: Pick<Prior, 'of' | 'keys'>): string {
  return `the habit of ${keys} keys of its ${of}`
}

/** What a key did itself so far: its highest, or its mean, and in how many hours of use. */
export interface OwnStart {
  readonly value: number
  readonly hours: number
}

export interface PriorChance {
  /** ln of the chance that a key of the group comes to so much. */
  readonly logChance: number
  /** Middle 95 % of what its keys come to. */
  readonly low: number
  readonly high: number
  /** Share of the group in it; the rest is the key's own start. */
  readonly weight: number
}

/**
 * A key that is just being tried is put to work: its highest hour so far may yet grow by this much (one standard
 * deviation of the logarithm), and by less the longer it has been used.
 */
const GROWTH_DEVIATION = Math.log(10)
const GROWTH_HOURS = 24

/**
 * The chance that a key comes to `observed`: a lognormal whose centre is drawn from the group's towards what the key itself
 * has shown, by their precisions (normal-normal shrinkage), with tails of Student's t for the number of keys.
 */
export function priorChance(group: Spread, own: OwnStart | undefined, observed: number): PriorChance {
  const ofGroup = 1 / group.deviation ** 2
  const isOwn = own !== undefined && own.hours > 0 && own.value > 0
  const ofOwn = isOwn ? (1 + own.hours / GROWTH_HOURS) / GROWTH_DEVIATION ** 2 : 0
  const center = (group.center * ofGroup + (isOwn ? Math.log(own.value) : 0) * ofOwn) / (ofGroup + ofOwn)
  // The centre of so many keys is itself uncertain by a part of their deviation.
  const deviation = Math.sqrt((1 + 1 / group.keys) / (ofGroup + ofOwn))
  const distance = (Math.log(Math.max(observed, Number.MIN_VALUE)) - center) / deviation
  return {
    logChance: logStudentTail(distance, group.keys - 1),
    low: Math.exp(center - MIDDLE_95 * deviation),
    high: Math.exp(center + MIDDLE_95 * deviation),
    weight: ofGroup / (ofGroup + ofOwn),
  }
}
const MIDDLE_95 = 1.96

/**
 * The chance that a key uses a value that no key of the group does: the share of keys that are alone with one (Good and
 * Turing), with half a key for a group in which there is none.
 */
export function newcomerChance({ keys, users }: Shared): number {
  let alone = 0
  for (const count of users.values()) if (count === 1) alone += 1
  return Math.min(1, (alone + 0.5) / (keys + 1))
}

function priorOf(habits: readonly KeyHabit[], { of, teamId }: Pick<Prior, 'of' | 'teamId'>): Prior {
  const spread = (value: (habit: KeyHabit) => number): Spread | undefined => spreadOf(habits.map(value))
  return {
    of,
    teamId,
    keys: habits.length,
    sinceMs: Math.min(...habits.map(({ firstSeenMs }) => firstSeenMs)),
    peakRequests: spread(({ peakRequests }) => peakRequests),
    peakFiveMinutes: spread(({ peakFiveMinutes }) => peakFiveMinutes),
    peakTokens: spread(({ peakTokens }) => peakTokens),
    peakCostNanoUsd: spread(({ peakCostNanoUsd }) => peakCostNanoUsd),
    peakTokensPerRequest: spread(({ peakTokensPerRequest }) => peakTokensPerRequest),
    costNanoUsdPerRequest: spread(({ costNanoUsdPerRequest }) => costNanoUsdPerRequest),
    countries: sharedOf(habits.map(({ countries }) => countries)),
    models: sharedOf(habits.map(({ models }) => models)),
  }
}

/** Two keys at one place may be chance, or one thief with both. */
const SITE_KEYS_MIN = 3
/** A fleet has a few dozen sites; where it has more, those with most keys. */
const SITES_MAX = 100

function sitesOf(habits: readonly KeyHabit[]): Site[] {
  const sites: { latitude: number; longitude: number; keys: number }[] = []
  for (const { places } of habits) {
    const near = new Set(
      places.map((place) => {
        const known = sites.find((site) => isSamePlace(site, place))
        if (known !== undefined) return known
        const site = { ...place, keys: 0 }
        sites.push(site)
        return site
      }),
    )
    for (const site of near) site.keys += 1
  }
  return sites
    .filter(({ keys }) => keys >= SITE_KEYS_MIN)
    .toSorted((a, b) => b.keys - a.keys || a.latitude - b.latitude || a.longitude - b.longitude)
    .slice(0, SITES_MAX)
}

/** Undefined when too few keys have the quantity at all. */
function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.filter((value) => value > 0).toSorted((a, b) => a - b)
  if (sorted.length < PRIOR_KEYS_MIN) return undefined
  const low = Math.log(quantile(sorted, LOW_SHARE))
  const high = Math.log(quantile(sorted, 1 - LOW_SHARE))
  const leftOut = Math.max(1, Math.ceil(sorted.length / TOP_LEFT_OUT))
  return {
    keys: sorted.length,
    center: Math.log(quantile(sorted, 0.5)),
    deviation: Math.max(DEVIATION_MIN, (high - low) / 2),
    high: sorted[sorted.length - 1 - leftOut] ?? 0,
  }
}
/** One standard deviation below the mean of a normal distribution. */
const LOW_SHARE = 0.1587

function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)] ?? 0
  const above = sorted[Math.ceil(at)] ?? below
  return below + (above - below) * (at - Math.floor(at))
}

function sharedOf(values: readonly (readonly string[])[]): Shared {
  const users = new Map<string, number>()
  let keys = 0
  for (const own of values) {
    if (own.length > 0) keys += 1
    for (const value of new Set(own)) users.set(value, (users.get(value) ?? 0) + 1)
  }
  return { keys, users }
}
