import { DAY_MS, WEEK_MS } from '../usage/duration.ts'
import { bucketStart } from '../usage/rollup.ts'
import { keptWith } from './kept-with.ts'
import { entryAt, spanCount } from './ledger-spans.ts'
import type { Profile } from './profile.ts'

/** What a key did in the last seven whole days (UTC), and in the weeks before them, as the ledger has them. */
export interface WeeklyLevel {
  /** Start of the last seven days; today is not in them. */
  readonly fromMs: number
  readonly last: number
  /** The whole weeks before, the newest first: as far back as the ledger and the key go, at most WEEKS_BEFORE. */
  readonly before: readonly number[]
}

export type LevelMetric = 'requests' | 'cost'

const WEEKS_BEFORE = 4

/**
 * The weekly sums of a metric (successful requests, or nano-USD). The ledger holds facts, so a week of long ago is frozen:
 * nothing that came later can have changed it, however slowly.
 */
export function weeklyLevel(profile: Profile, metric: LevelMetric, nowMs: number): WeeklyLevel {
  const todayMs = bucketStart(nowMs, DAY_MS)
  let known = levels.get(profile)
  if (known?.todayMs !== todayMs) {
    known = computeLevels(profile, todayMs)
    levels.set(profile, known)
  }
  return known[metric]
}

/** Remembered per profile and day: every tick asks. */
const levels = keptWith<Profile, Levels>()
type Levels = { readonly todayMs: number } & Readonly<Record<LevelMetric, WeeklyLevel>>

function computeLevels({ ledger, firstSeenMs }: Profile, todayMs: number): Levels {
  // The day on which the key was first seen is not whole.
  const knownFromMs = bucketStart(firstSeenMs, DAY_MS) + DAY_MS
  const weeks = Math.floor((todayMs - knownFromMs) / WEEK_MS)
  const requests = Array<number>(Math.max(0, Math.min(weeks, WEEKS_BEFORE + 1))).fill(0)
  const cost = [...requests]
  // Days ascend, so from the newest on.
  let week = 0
  for (let index = spanCount(ledger.days) - 1; index >= 0; index -= 1) {
    const [dayMs, made, costNanoUsd] = entryAt(ledger.days, index) ?? [Infinity, 0, 0]
    if (dayMs >= todayMs) continue
    while (dayMs < todayMs - (week + 1) * WEEK_MS) week += 1
    if (week >= requests.length) break
    requests[week] = (requests[week] ?? 0) + made
    cost[week] = (cost[week] ?? 0) + costNanoUsd
  }
  return { todayMs, requests: levelOf(requests, todayMs), cost: levelOf(cost, todayMs) }
}

function levelOf([last = 0, ...before]: readonly number[], todayMs: number): WeeklyLevel {
  return { fromMs: todayMs - WEEK_MS, last, before }
}

export interface Drift {
  /** What the last week would have been by the weeks before it, and how many of them there are. */
  readonly expected: number
  readonly weeks: number
  readonly ratio: number
  /** How many standard deviations of the logarithm of its weeks that is. */
  readonly deviations: number
}

/** A key that grows is expected to go on growing, up to so much a week: ln 1.3. */
const GROWTH_MAX = Math.log(1.3)
/** Weeks differ by so much on their own, as a standard deviation of the logarithm, whatever a few of them say. */
const SPREAD_MIN = 0.12
const WEEKS_MIN = 2
/** So few weeks say little of their spread: it is taken as if one more had differed by this. */
const SPREAD_PRIOR = 0.25

/**
 * How far the last week is above what the weeks before it make expect: their mean, or where they grow, the newest of them
 * grown once more by their mean growth. Undefined with fewer than two weeks before, or with an empty one among them.
 */
export function driftOf(level: WeeklyLevel): Drift | undefined {
  const known = drifts.get(level)
  if (known !== undefined) return known.drift
  const drift = computeDrift(level)
  drifts.set(level, { drift })
  return drift
}

/** Remembered per level: every tick asks. */
const drifts = keptWith<WeeklyLevel, { readonly drift: Drift | undefined }>()

function computeDrift({ last, before }: WeeklyLevel): Drift | undefined {
  if (before.length < WEEKS_MIN || before.some((sum) => sum <= 0) || last <= 0) return undefined
  const logs = before.map(Math.log)
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length
  const [newest = mean] = logs
  const growth = (newest - (logs.at(-1) ?? newest)) / (logs.length - 1)
  const expectedLog = Math.max(mean, newest + Math.min(GROWTH_MAX, Math.max(0, growth)))
  const squares = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0)
  const spread = Math.max(SPREAD_MIN, Math.sqrt((squares + SPREAD_PRIOR ** 2) / (logs.length + 1)))
  const distance = Math.log(last) - expectedLog
  return {
    expected: Math.exp(expectedLog),
    weeks: before.length,
    ratio: Math.exp(distance),
    deviations: distance / spread,
  }
}
