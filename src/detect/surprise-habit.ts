import { DAY_MS } from '../usage/duration.ts'
import { bucketStart } from '../usage/rollup.ts'

/**
 * How far a key's own clean days have strayed from what a model of it expects: the record by which a detector's scores
 * are calibrated. Of each day (UTC) only its largest surprise is kept, in nats: -ln of how many such hours the model
 * expects in a day.
 */
export interface SurpriseHabit {
  /** Start of the newest day with a learnt hour; 0 before the first. */
  readonly dayMs: number
  /** The largest surprise of that day so far. */
  readonly largest: number
  /** True when an hour of that day was suspect: the day then is not recorded. */
  readonly suspect: boolean
  /** Fading number of days that were recorded, and the sum of the squares of their largest surprises. */
  readonly days: number
  readonly squares: number
}

/** The detectors whose models are held against the key's own past. The others count events of the key: their rates are calibrated. */
export interface Surprises {
  readonly volume_spike: SurpriseHabit
  readonly unusual_hour: SurpriseHabit
}

const NO_SURPRISE: SurpriseHabit = { dayMs: 0, largest: 0, suspect: false, days: 0, squares: 0 }
export const NO_SURPRISES: Surprises = { volume_spike: NO_SURPRISE, unusual_hour: NO_SURPRISE }

const HALF_LIFE_MS = 14 * DAY_MS
/** The prior of the scale counts as so many days: what a key does in its first week decides little. */
const PRIOR_DAYS = 10

/** The record after one more hour. A surprise below 0 (less than one such hour a day) is none. */
export function withSurprise(
  habit: SurpriseHabit,
  hour: { readonly hourMs: number; readonly nats: number; readonly suspect: boolean },
): SurpriseHabit {
  const dayMs = bucketStart(hour.hourMs, DAY_MS)
  const today = dayMs === habit.dayMs ? habit : nextDay(habit, dayMs)
  const largest = Math.max(today.largest, Number.isFinite(hour.nats) ? rounded(hour.nats) : LARGEST_NATS)
  if (today === habit && largest === habit.largest && !(hour.suspect && !habit.suspect)) return habit
  return { ...today, largest: Math.min(LARGEST_NATS, largest), suspect: today.suspect || hour.suspect }
}

/** One day that is beyond all measure must not silence a key for weeks. */
const LARGEST_NATS = 40

/**
 * By how much the surprises of this key run higher than the model's. If the model were right, the largest of a day would
 * be exponential with scale 1, and the mean of squares is twice the squared scale (squares, because it is the tail that
 * matters); shrunk towards `prior`, the scale of a typical key.
 * Never below 1: a key that keeps closer to its habit than the model says is not therefore judged more strictly.
 */
export function tailScale(habit: SurpriseHabit, prior: number): number {
  const square = (habit.squares / 2 + PRIOR_DAYS * prior ** 2) / (habit.days + PRIOR_DAYS)
  return Math.max(1, Math.sqrt(square))
}

/** The scale of a key's hours of use: what presence by hour of the week says is right for a typical key. */
export function hourScale({ surprises }: { readonly surprises: Surprises }): number {
  return tailScale(surprises.unusual_hour, 1)
}

function nextDay(habit: SurpriseHabit, dayMs: number): SurpriseHabit {
  if (habit.dayMs === 0) return { ...NO_SURPRISE, dayMs }
  const isTaught = !habit.suspect
  const fade = 0.5 ** (Math.max(0, dayMs - habit.dayMs) / HALF_LIFE_MS)
  return {
    dayMs,
    largest: 0,
    suspect: false,
    days: rounded((habit.days + (isTaught ? 1 : 0)) * fade),
    squares: rounded((habit.squares + (isTaught ? habit.largest ** 2 : 0)) * fade),
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
