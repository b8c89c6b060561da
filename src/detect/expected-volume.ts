import { HOUR_MS } from '../usage/duration.ts'
import { HOURS_OF_WEEK, hourOfWeek } from '../usage/hour-of-week.ts'
import { bucketStart } from '../usage/rollup.ts'
import { keptWith } from './kept-with.ts'
import { RATE_DECAY_PER_WEEK, type PerRequest, type Profile, type WeekHabit } from './profile.ts'

/** What is usual in a window: a negative binomial of this mean and size (variance mean + mean^2 / size). */
export interface ExpectedVolume {
  /** Successful requests. */
  readonly mean: number
  readonly size: number
}

// Gamma-Poisson shrinkage: an hour of the week counts as 2 more hours at the rate of its hour of the day, and that as
// 3 more hours at the mean of the key. Neighbouring hours help at a quarter, against daylight saving and jitter.
const SLOT_PRIOR_HOURS = 2
const HOUR_OF_DAY_PRIOR_HOURS = 3
const NEIGHBOUR_WEIGHT = 0.25
/** An hour is expected to be at least this much of the busier of its neighbours. */
const NEIGHBOUR_SHARE = 0.8
/** The last day may raise what is usual by at most this much: keys grow, thieves must not be learnt in a day. */
const LEVEL_MAX = 2.5
const LEVEL_PRIOR_REQUESTS = 10
/** Before a key's own spread is known it is taken to vary by half around its habit, for so many usual hours. */
const SPREAD_PRIOR = 0.25
const SPREAD_PRIOR_HOURS = 24
/** Requests of one hour come in clusters, so shorter windows stray further. */
const CLUSTER_SPREAD = 0.1
const SATURDAY = 5

/** What is usual for the key between two instants not further apart than a few hours. */
export function expectedVolume(profile: Profile, fromMs: number, toMs: number): ExpectedVolume {
  const level = levelOf(profile)
  let mean = 0
  let evidence = 0
  for (let hourMs = bucketStart(fromMs, HOUR_MS); hourMs < toMs; hourMs += HOUR_MS) {
    const share = (Math.min(toMs, hourMs + HOUR_MS) - Math.max(fromMs, hourMs)) / HOUR_MS
    const slot = hourOfWeek(hourMs, profile.timeZone)
    mean += share * level * usualRate(profile.week, slot)
    evidence = Math.max(evidence, taughtWeight(profile.week.taught[slot] ?? 0))
  }
  return { mean, size: sizeOf(profile, { evidence, windowMs: toMs - fromMs }) }
}

/** Whole days differ by so much whatever their hours say: variance of the level over its square. */
const DAY_SPREAD = 0.03
/** The hours of a window speak for one another's slots: shrinkage has pooled them. */
const POOLED_EVIDENCE = 4

/**
 * What is usual for the key in a window of hours that it has already learnt: without the level of the last day and without
 * what the hours of the window itself taught of its spread, for they are what is judged. Hours stray apart from one
 * another, so their sum strays less than one of them; the level of days does not.
 */
export function expectedLongVolume(
  profile: Profile,
  {
    fromMs,
    endMs,
    made,
  }: { readonly fromMs: number; readonly endMs: number; readonly made: ReadonlyMap<number, number> },
): ExpectedVolume & { readonly spread: number } {
  let mean = 0
  let evidence = 0
  let { excess, squares } = profile.volume
  for (let hourMs = fromMs; hourMs < endMs; hourMs += HOUR_MS) {
    const slot = hourOfWeek(hourMs, profile.timeZone)
    const usual = usualRate(profile.week, slot)
    mean += (usual * (Math.min(endMs, hourMs + HOUR_MS) - hourMs)) / HOUR_MS
    evidence += taughtWeight(profile.week.taught[slot] ?? 0)
    if (hourMs >= profile.learnedUntilMs) continue
    const requests = made.get(hourMs) ?? 0
    // Never below nothing: an hour under alert taught no spread, and none must be taken back for it.
    excess = Math.max(0, excess - Math.max(0, (requests - usual) ** 2 - requests))
    squares = Math.max(0, squares - usual ** 2)
  }
  const spread = spreadOf({ ...profile, volume: { ...profile.volume, excess, squares } })
  const hours = Math.max(1, (endMs - fromMs) / HOUR_MS)
  return { mean, spread, size: 1 / (spread / hours + DAY_SPREAD + 1 / (POOLED_EVIDENCE * evidence + 2)) }
}

/** How bursty the key is: 1/k of its hours above what Poisson allows; 0 is Poisson, above 0.67 needs the peak guard. */
export function spreadOf(profile: Profile): number {
  const { excess, squares } = profile.volume
  const prior = SPREAD_PRIOR_HOURS * meanRate(profile.week) ** 2
  if (squares + prior <= 0) return SPREAD_PRIOR
  return Math.min(SPREAD_MAX, Math.max(0, excess + SPREAD_PRIOR * prior) / (squares + prior))
}
/** A thousand times its mean is the standard deviation of no key; beyond it the tails lose their digits. */
const SPREAD_MAX = 1e6

/**
 * What one request weighs when sums of sizes are read as counts: E[c^2] / E[c], so that sum / scale varies like a
 * count of requests. Undefined while no size is known.
 */
export function requestScale(
  sizes: PerRequest,
): { readonly mean: number; readonly scale: number } | undefined {
  if (sizes.requests <= 0 || sizes.sum <= 0) return undefined
  const mean = sizes.sum / sizes.requests
  const variance = sizes.hours > 0 ? sizes.squares / sizes.hours : 0
  // Few hours say little about the spread of sizes: LLM calls have a coefficient of variation of about 1.
  const prior = (2 * mean * mean) / (sizes.hours + 2)
  return { mean, scale: mean + (variance + prior) / mean }
}

/** The rate of an hour of the week by the week's habit alone, in requests per hour; for the learner. */
export function habitualRate(week: WeekHabit, slot: number): number {
  return slotRate(week, slot, meanRate(week))
}

function usualRate(week: WeekHabit, slot: number): number {
  const rates = ratesOf(week)
  const known = rates.usual.get(slot)
  if (known !== undefined) return known
  const { mean } = rates
  const neighbours = Math.max(slotRate(week, around(slot - 1), mean), slotRate(week, around(slot + 1), mean))
  const usual = Math.max(slotRate(week, slot, mean), NEIGHBOUR_SHARE * neighbours)
  rates.usual.set(slot, usual)
  return usual
}

interface Rates {
  readonly mean: number
  /** `usualRate` of the slots that were asked for. */
  readonly usual: Map<number, number>
}

/** Remembered per habit: it changes once an hour, and every tick asks for the same two or three slots. */
const rates = keptWith<WeekHabit, Rates>()

function ratesOf(week: WeekHabit): Rates {
  const known = rates.get(week)
  if (known !== undefined) return known
  const fresh = { mean: computeMeanRate(week), usual: new Map<number, number>() }
  rates.set(week, fresh)
  return fresh
}

/** Successful requests an hour, over the whole week. */
export function meanRate(week: WeekHabit): number {
  return ratesOf(week).mean
}

function slotRate(week: WeekHabit, slot: number, mean: number): number {
  const prior = hourOfDayRate(week, slot, mean)
  const before = around(slot - 1)
  const after = around(slot + 1)
  const requests =
    at(week.requests, slot) + NEIGHBOUR_WEIGHT * (at(week.requests, before) + at(week.requests, after))
  const weight = weightAt(week, slot) + NEIGHBOUR_WEIGHT * (weightAt(week, before) + weightAt(week, after))
  return (requests + SLOT_PRIOR_HOURS * prior) / (weight + SLOT_PRIOR_HOURS)
}

/** The same hour on all weekdays, or on both days of the weekend. */
function hourOfDayRate(week: WeekHabit, slot: number, mean: number): number {
  const [firstDay, lastDay] = slot < SATURDAY * 24 ? [0, SATURDAY - 1] : [SATURDAY, 6]
  let requests = HOUR_OF_DAY_PRIOR_HOURS * mean
  let weight = HOUR_OF_DAY_PRIOR_HOURS
  for (let day = firstDay; day <= lastDay; day += 1) {
    requests += at(week.requests, day * 24 + (slot % 24))
    weight += weightAt(week, day * 24 + (slot % 24))
  }
  return requests / weight
}

function computeMeanRate(week: WeekHabit): number {
  let requests = 0
  let weight = 0
  for (let slot = 0; slot < HOURS_OF_WEEK; slot += 1) {
    requests += at(week.requests, slot)
    weight += weightAt(week, slot)
  }
  return requests / Math.max(1, weight)
}

function weightAt(week: WeekHabit, slot: number): number {
  return taughtWeight(at(week.taught, slot))
}

/** Weight of an hour of the week that was taught so often: 1 + d + d^2 + ... */
function taughtWeight(times: number): number {
  return TAUGHT_WEIGHTS[Math.min(times, TAUGHT_WEIGHTS.length - 1)] ?? 0
}

/** After a year of weeks the weight has reached its limit to ten digits. */
const TAUGHT_WEIGHTS = Array.from(
  { length: 80 },
  (_, times) => (1 - RATE_DECAY_PER_WEEK ** times) / (1 - RATE_DECAY_PER_WEEK),
)

function levelOf({ volume }: Profile): number {
  const ratio = (volume.recentRequests + LEVEL_PRIOR_REQUESTS) / (volume.recentUsual + LEVEL_PRIOR_REQUESTS)
  return Math.min(LEVEL_MAX, Math.max(1, ratio))
}

function sizeOf(profile: Profile, { evidence, windowMs }: { evidence: number; windowMs: number }): number {
  const cluster = CLUSTER_SPREAD * Math.max(0, 1 - windowMs / HOUR_MS)
  return 1 / (spreadOf(profile) + cluster + 1 / (evidence + 2))
}

function at(values: readonly number[], slot: number): number {
  return values[slot] ?? 0
}

function around(slot: number): number {
  return (slot + HOURS_OF_WEEK) % HOURS_OF_WEEK
}
