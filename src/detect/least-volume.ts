import { DAY_MS, HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { sumWithin } from '../usage/key-usage.ts'
import { bucketStart, type UsageTotals } from '../usage/rollup.ts'
import { keptWith } from './kept-with.ts'
import type { Calm } from './calm.ts'
import { expectedVolume, requestScale } from './expected-volume.ts'
import { SHORT_WINDOWS_MS } from './long-window.ts'
import type { PerRequest, Profile } from './profile.ts'
import type { VolumeMetric } from './volume-test.ts'

/** Requests, tokens and nano-USD. */
type Amounts = Readonly<Record<VolumeMetric, number>>

// The least effect worth an alert, whatever the chance: large keys make small deviations certain.
const RATIO_MIN: readonly (readonly [upToMs: number, ratio: number])[] = [
  [10 * MINUTE_MS, 2.5],
  [3 * HOUR_MS, 2.2],
  [12 * HOUR_MS, 1.6],
  [DAY_MS, 1.4],
]

/** How many times the usual a window must be, at the least. */
export function ratioMin(windowMs: number): number {
  return RATIO_MIN.find(([upToMs]) => windowMs <= upToMs)?.[1] ?? 1.4
}

/** Tokens or nano-USD. */
export function sizeOf(totals: UsageTotals, metric: 'tokens' | 'cost'): number {
  return metric === 'tokens' ? totals.inputTokens + totals.outputTokens : totals.costNanoUsd
}

/** Calm while there is far too little of everything in every window; undefined where a window is longer than an hour. */
export function volumeCalm(
  { profile, nowMs }: { readonly profile: Profile; readonly nowMs: number },
  windows: readonly number[],
  { minRequests }: { readonly minRequests: number },
): Calm | undefined {
  if (windows.some((windowMs) => windowMs > SHORT_WINDOWS_MS)) return undefined
  const lastHourMs = bucketStart(nowMs, HOUR_MS)
  // A window that ends in the hour may have begun in the one before.
  const firstHourMs = lastHourMs - HOUR_MS
  const bounds = windows.map((windowMs) =>
    leastAmounts(profile, { windowMs, firstHourMs, lastHourMs, minRequests }),
  )
  return whileLess(bounds)
}

function whileLess(bounds: readonly LeastAmounts[]): Calm {
  return (usage, nowMs) => {
    for (const least of bounds) if (!isLess(sumWithin(usage, least.windowMs, nowMs), least)) return false
    return true
  }
}

/** True when there is less of each. */
export function isLess(totals: UsageTotals, least: Amounts): boolean {
  return (
    totals.requests - totals.refused < least.requests &&
    sizeOf(totals, 'tokens') < least.tokens &&
    totals.costNanoUsd < least.cost
  )
}

/** Less of each than this is no excess in such a window, wherever it lies in these hours. */
interface LeastAmounts extends Amounts {
  readonly windowMs: number
  readonly minRequests: number
  readonly firstHourMs: number
  readonly lastHourMs: number
}

/** Remembered per profile: which changes once an hour, while ticks ask for two windows every few seconds. */
const leasts = keptWith<Profile, readonly LeastAmounts[]>()
const LEASTS_KEPT = 12
/** Sums in another order differ in their last digits. */
const ROUNDING = 1 - 1e-9

export function leastAmounts(
  profile: Profile,
  {
    windowMs,
    firstHourMs,
    lastHourMs,
    minRequests,
  }: Pick<LeastAmounts, 'windowMs' | 'firstHourMs' | 'lastHourMs' | 'minRequests'>,
): LeastAmounts {
  const remembered = leasts.get(profile) ?? []
  for (const one of remembered)
    if (
      one.firstHourMs === firstHourMs &&
      one.windowMs === windowMs &&
      one.lastHourMs === lastHourMs &&
      one.minRequests === minRequests
    )
      return one
  const inHour = (hourMs: number): number => expectedVolume(profile, hourMs, hourMs + HOUR_MS).mean
  // Of two hours that the window is in, the quieter one bounds it.
  const mean = (Math.min(inHour(firstHourMs), inHour(lastHourMs)) * windowMs) / HOUR_MS
  const requests = Math.max(minRequests, mean * ratioMin(windowMs)) * ROUNDING
  const sizeOfOne = (sizes: PerRequest): number => requestScale(sizes)?.mean ?? Infinity
  const least: LeastAmounts = {
    windowMs,
    minRequests,
    firstHourMs,
    lastHourMs,
    requests,
    tokens: requests * sizeOfOne(profile.volume.tokens),
    cost: requests * sizeOfOne(profile.volume.costNanoUsd),
  }
  leasts.set(profile, [least, ...remembered.slice(0, LEASTS_KEPT - 1)])
  return least
}
