import { HOURS_OF_WEEK } from '../usage/hour-of-week.ts'
import { keptWith } from './kept-with.ts'
import { PRESENCE_DECAY_PER_WEEK, type WeekHabit } from './profile.ts'

/** When in the week a key is in use. */
export interface Presence {
  /** Chance that the key is used in each hour of the week. */
  readonly chances: readonly number[]
  /** The share of the key's hours of use that fall into hours as quiet as this one or quieter. */
  tailOf(slot: number): number
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
const SATURDAY = 5
/** People sleep. What is used for so many hours a day is a service, and a service can be moved within a minute. */
export const SERVICE_HOURS = 20

const presences = keptWith<WeekHabit, Presence>()

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
  const seen = smoothed(week.taught.map(presenceWeight))
  const usedOfDay = pooled(used)
  const seenOfDay = pooled(seen)
  const chances = Array<number>(HOURS_OF_WEEK)
  let sum = 0
  let squares = 0
  for (let slot = 0; slot < HOURS_OF_WEEK; slot += 1) {
    const alike = hourOfDay(slot)
    const ofDay = chanceOf(usedOfDay[alike] ?? 0, seenOfDay[alike] ?? 0)
    const chance = pooledChance(ofDay, chanceOf(used[slot] ?? 0, seen[slot] ?? 0))
    chances[slot] = chance
    sum += chance
    squares += chance * chance
  }
  const tailOf = (slot: number): number => massUpTo(chances, chances[slot] ?? 1) / sum
  return { chances, tailOf, hoursPerDay: sum / 7, typical: squares / sum }
}

/**
 * The chance that `presenceOf` has for one hour of the week, at a tenth of its cost: it tells of most hours of most keys
 * that they are no quiet ones. But for the last digits, in which sums in another order differ.
 */
export function chanceAt({ active, taught }: WeekHabit, slot: number): number {
  const [firstDay, lastDay] = slot < SATURDAY * 24 ? [0, SATURDAY - 1] : [SATURDAY, 6]
  let [used, seen, usedOfDay, seenOfDay] = [0, 0, 0, 0]
  for (let day = firstDay; day <= lastDay; day += 1) {
    const alike = day * 24 + (slot % 24)
    let [usedThen, seenThen] = [0, 0]
    for (let at = 0; at < KERNEL.length; at += 1) {
      const near = (alike + at - REACH_HOURS + HOURS_OF_WEEK) % HOURS_OF_WEEK
      const weight = KERNEL[at] ?? 0
      usedThen += weight * (active[near] ?? 0)
      seenThen += weight * presenceWeight(taught[near] ?? 0)
    }
    usedOfDay += usedThen
    seenOfDay += seenThen
    if (alike === slot) [used, seen] = [usedThen, seenThen]
  }
  return pooledChance(chanceOf(usedOfDay, seenOfDay), chanceOf(used, seen))
}

/** The sum of the chances that are no larger: summed from the smallest, so that it grows with the chance. */
function massUpTo(chances: readonly number[], chance: number): number {
  let mass = 0
  for (const one of Float64Array.from(chances.filter((value) => value <= chance)).sort()) mass += one
  return mass
}

function pooledChance(ofDay: number, ofSlot: number): number {
  return POOLED * ofDay + (1 - POOLED) * ofSlot
}

function chanceOf(used: number, seen: number): number {
  return (used + PRIOR_USE) / (seen + 2 * PRIOR_USE)
}

/** Weight of an hour of the week that was taught so often: 1 + d + d^2 + ... */
export function presenceWeight(times: number): number {
  let weight = weights[times]
  if (weight === undefined) {
    weight = (1 - PRESENCE_DECAY_PER_WEEK ** times) / (1 - PRESENCE_DECAY_PER_WEEK)
    weights[times] = weight
  }
  return weight
}
/** By weeks taught: powers are dear, and every hour of the week has been taught about as often. */
const weights: number[] = []

function smoothed(values: readonly number[]): Float64Array {
  const around = new Float64Array(HOURS_OF_WEEK + 2 * REACH_HOURS)
  for (let at = 0; at < around.length; at += 1)
    around[at] = values[(at - REACH_HOURS + HOURS_OF_WEEK) % HOURS_OF_WEEK] ?? 0
  const sums = new Float64Array(HOURS_OF_WEEK)
  for (let slot = 0; slot < HOURS_OF_WEEK; slot += 1) {
    let sum = 0
    for (let at = 0; at < KERNEL.length; at += 1) sum += (KERNEL[at] ?? 0) * (around[slot + at] ?? 0)
    sums[slot] = sum
  }
  return sums
}

/** Sums by hour of the day, apart for weekdays (0 to 23) and weekends (24 to 47). */
function pooled(values: Float64Array): Float64Array {
  const sums = new Float64Array(48)
  for (let slot = 0; slot < HOURS_OF_WEEK; slot += 1)
    sums[hourOfDay(slot)] = (sums[hourOfDay(slot)] ?? 0) + (values[slot] ?? 0)
  return sums
}

function hourOfDay(slot: number): number {
  return (slot % 24) + (slot < SATURDAY * 24 ? 0 : 24)
}
