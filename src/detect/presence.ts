import { PRESENCE_DECAY_PER_WEEK, type WeekHabit } from './profile.ts'

/** When in the week a key is in use. */
export interface Presence {
  /** Chance that the key is used in each hour of the week. */
  readonly chances: readonly number[]
  /** For each hour: the share of the key's hours of use that fall into hours as quiet as it or quieter. */
  readonly tails: readonly number[]
  /** Hours of use a day. */
  readonly hoursPerDay: number
  /** The chance in a typical hour of use: mean of the chances weighted by themselves. */
  readonly typical: number
}

/** Neighbouring hours speak for each other with a Gaussian weight of one hour: sessions jitter, clocks change. */
const REACH_HOURS = 3
const KERNEL = [-3, -2, -1, 0, 1, 2, 3].map((hours) => Math.exp(-(hours ** 2) / 2))
/** All weekdays, or both days of the weekend, speak for an hour of the day; the day itself for the rest. */
const POOLED = 0.7
/**
 * Use that may come at any hour, in hours seen: with little history every hour stays possible, so the tail tightens by
 * itself while history grows.
 */
const PRIOR_USE = 0.1

const presences = new WeakMap<WeekHabit, Presence>()

/** Smoothed presence by hour of the week. Remembered per habit: it changes once an hour. */
export function presenceOf(week: WeekHabit): Presence {
  const known = presences.get(week)
  if (known !== undefined) return known
  const presence = computePresence(week)
  presences.set(week, presence)
  return presence
}

function computePresence(week: WeekHabit): Presence {
  const used = smoothed(week.active)
  const seen = smoothed(week.taught.map(taughtWeight))
  const usedOfDay = pooled(used)
  const seenOfDay = pooled(seen)
  const chances = used.map((slotUsed, slot) => {
    const alike = hourOfDay(slot)
    const all = chanceOf(usedOfDay[alike] ?? 0, seenOfDay[alike] ?? 0)
    return POOLED * all + (1 - POOLED) * chanceOf(slotUsed, seen[slot] ?? 0)
  })
  const sum = chances.reduce((a, b) => a + b, 0)
  const typical = chances.reduce((a, b) => a + b * b, 0) / sum
  return { chances, tails: tailsOf(chances, sum), hoursPerDay: sum / 7, typical }
}

/** For each chance, the share of all of them that is in chances as low or lower. */
function tailsOf(chances: readonly number[], sum: number): number[] {
  const rising = Float64Array.from(chances).sort()
  const masses = new Float64Array(rising.length)
  let mass = 0
  for (let at = 0; at < rising.length; at += 1) {
    mass += rising[at] ?? 0
    masses[at] = mass
  }
  return chances.map((chance) => (masses[lastAt(rising, chance)] ?? 0) / sum)
}

/** The place of the last of the values, in rising order, that is no larger. */
function lastAt(rising: Float64Array, value: number): number {
  let low = 0
  let high = rising.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((rising[middle] ?? 0) <= value) low = middle
    else high = middle - 1
  }
  return low
}

function chanceOf(used: number, seen: number): number {
  return (used + PRIOR_USE) / (seen + 2 * PRIOR_USE)
}

function taughtWeight(times: number): number {
  let weight = weights[times]
  if (weight === undefined) {
    weight = (1 - PRESENCE_DECAY_PER_WEEK ** times) / (1 - PRESENCE_DECAY_PER_WEEK)
    weights[times] = weight
  }
  return weight
}
/** By weeks taught: powers are dear, and every hour of the week has been taught about as often. */
const weights: number[] = []

function smoothed(values: readonly number[]): number[] {
  const around = [...values.slice(-REACH_HOURS), ...values, ...values.slice(0, REACH_HOURS)]
  return values.map((_, slot) => {
    let sum = 0
    for (let at = 0; at < KERNEL.length; at += 1) sum += (KERNEL[at] ?? 0) * (around[slot + at] ?? 0)
    return sum
  })
}

/** Sums by hour of the day, apart for weekdays (0 to 23) and weekends (24 to 47). */
function pooled(values: readonly number[]): number[] {
  const sums = Array<number>(48).fill(0)
  for (const [slot, value] of values.entries()) sums[hourOfDay(slot)] = (sums[hourOfDay(slot)] ?? 0) + value
  return sums
}

function hourOfDay(slot: number): number {
  return (slot % 24) + (slot < 5 * 24 ? 0 : 24)
}
