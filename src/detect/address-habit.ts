import { DAY_MS } from '../usage/duration.ts'
import { bucketStart } from '../usage/rollup.ts'
import type { SourceUsage } from '../usage/source.ts'
import { sixDigits } from './six-digits.ts'

/**
 * How many distinct addresses use the key in a day (UTC). The addresses themselves are not kept: each marks one of
 * SLOTS slots, and the number of marked slots tells how many there were.
 */
export interface AddressHabit {
  /** Start of the newest day with an address; 0 before the first. */
  readonly dayMs: number
  /** The slots that the addresses of that day mark, ascending; at most SLOTS_KEPT. */
  readonly slots: readonly number[]
  /** True when an hour of that day was suspect: the day is then not taught. */
  readonly suspect: boolean
  /** Fading number of days that were taught, and of their addresses. */
  readonly days: number
  readonly sum: number
  /** The fading largest number in a day. */
  readonly peak: number
}

export const NO_ADDRESSES: AddressHabit = {
  dayMs: 0,
  slots: [],
  suspect: false,
  days: 0,
  sum: 0,
  peak: 0,
}

const SLOTS = 4_096
/** A profile stays small whatever a key does: beyond this the number of addresses is "so many or more". */
const SLOTS_KEPT = 1_000
const HALF_LIFE_MS = 14 * DAY_MS

/** The habit after one more hour of sources. */
export function withAddresses(
  habit: AddressHabit,
  hour: {
    readonly hourMs: number
    readonly sources?: readonly SourceUsage[] | undefined
    readonly suspect: boolean
  },
): AddressHabit {
  const slots = slotsOf(hour.sources ?? [])
  if (slots.size === 0) return habit
  const dayMs = bucketStart(hour.hourMs, DAY_MS)
  const today = dayMs === habit.dayMs ? habit : nextDay(habit, dayMs)
  return {
    ...today,
    slots: united(today.slots, slots),
    suspect: today.suspect || hour.suspect,
  }
}

/** Distinct addresses of the day of `nowMs`: those learnt, and those of `open`. */
export function addressesToday(habit: AddressHabit, open: readonly SourceUsage[], nowMs: number): number {
  const dayMs = bucketStart(nowMs, DAY_MS)
  const learnt = habit.dayMs === dayMs ? habit.slots : []
  const opened = new Set<number>()
  for (const { bucketMs, firstMs, requests, refused, address } of open) {
    if (bucketMs < dayMs || firstMs > nowMs || requests <= refused) continue
    const slot = slotOf(address)
    if (!learnt.includes(slot)) opened.add(slot)
  }
  return countOf(Math.min(SLOTS_KEPT, learnt.length + opened.size))
}

/** No less than `addressesToday`, for a key that was lately used from `recent` addresses. */
export function addressesAtMost(habit: AddressHabit, recent: number, nowMs: number): number {
  const learnt = habit.dayMs === bucketStart(nowMs, DAY_MS) ? habit.slots.length : 0
  return countOf(Math.min(SLOTS_KEPT, learnt + recent))
}

/** What is usual for a day: the mean, and the fading peak; the newest day counts only once it is over. */
export function usualAddresses(
  habit: AddressHabit,
  nowMs: number,
): { readonly days: number; readonly mean: number; readonly peak: number } {
  const { days, sum, peak } = habit.dayMs < bucketStart(nowMs, DAY_MS) ? taught(habit) : habit
  return { days, mean: days > 0 ? sum / days : 0, peak }
}

function nextDay(habit: AddressHabit, dayMs: number): AddressHabit {
  const { days, sum, peak } = taught(habit)
  const fade = 0.5 ** ((dayMs - habit.dayMs) / HALF_LIFE_MS)
  return {
    dayMs,
    slots: [],
    suspect: false,
    days: sixDigits(days * fade),
    sum: sixDigits(sum * fade),
    peak: sixDigits(peak * fade),
  }
}

/** The habit with its newest day taught. */
function taught(habit: AddressHabit): Pick<AddressHabit, 'days' | 'sum' | 'peak'> {
  const { days, sum, peak } = habit
  if (habit.suspect || habit.slots.length === 0) return { days, sum, peak }
  const count = countOf(habit.slots.length)
  return { days: days + 1, sum: sum + count, peak: Math.max(peak, count) }
}

/**
 * Linear counting (Whang et al., 1990): n = -m ln(1 - k / m) addresses mark k of m slots. Exact for a few, within 2 %
 * at 1,000.
 */
function countOf(slots: number): number {
  return Math.round(-SLOTS * Math.log1p(-slots / SLOTS))
}

function united(slots: readonly number[], more: ReadonlySet<number>): readonly number[] {
  const all = new Set([...slots, ...more])
  if (all.size === slots.length) return slots
  return [...all].toSorted((a, b) => a - b).slice(0, SLOTS_KEPT)
}

/** The slots of addresses with a successful request. */
function slotsOf(sources: readonly SourceUsage[]): Set<number> {
  return new Set(
    sources.filter(({ requests, refused }) => requests > refused).map(({ address }) => slotOf(address)),
  )
}

/** FNV-1a of the address; of an IPv6 address the network of 64 bits, within which one device moves about. */
function slotOf(address: string): number {
  const network = address.includes(':') ? firstGroups(address) : address
  let hash = 0x811c9dc5
  for (let at = 0; at < network.length; at += 1) hash = Math.imul(hash ^ network.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 16)) & (SLOTS - 1)
}

/** The first four groups of an IPv6 address in its shortest form. */
function firstGroups(address: string): string {
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const behind = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - groups.length - behind.length)).fill('0')
  return [...groups, ...gap, ...behind].slice(0, 4).join(':')
}
