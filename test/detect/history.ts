import type { Detector } from '../../src/detect/detector.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import type { Site } from '../../src/detect/prior.ts'
import { emptyProfile, type Profile } from '../../src/detect/profile.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { KeyUsage } from '../../src/usage/key-usage.ts'
import { bucketStart, NO_USAGE, type Rollup } from '../../src/usage/rollup.ts'
import { SOURCE_BUCKET_MS, type SourceUsage } from '../../src/usage/source.ts'

/** A Wednesday at noon, UTC. */
export const NOON_MS = Date.parse('2026-03-04T12:00:00.000Z')

/** The usage of one cell of the cube; requests cost a tenth of a cent and 1,000 tokens each unless told otherwise. */
export function rollup(cell: Partial<Rollup> = {}): Rollup {
  const requests = cell.requests ?? 1
  const made = requests - (cell.refused ?? 0)
  return {
    ...NO_USAGE,
    keyId: 'key-7',
    bucketMs: NOON_MS,
    model: 'gpt-4o',
    country: 'US',
    requests,
    inputTokens: 800 * made,
    outputTokens: 200 * made,
    costNanoUsd: 1_000_000 * made,
    ...cell,
  }
}

/** The usage from one address, each request as in `rollup`; in London unless told otherwise. */
export function source(cell: Partial<SourceUsage> = {}): SourceUsage {
  const requests = cell.requests ?? 1
  const made = requests - (cell.refused ?? 0)
  const firstMs = cell.firstMs ?? cell.bucketMs ?? NOON_MS
  return {
    ...NO_USAGE,
    keyId: 'key-7',
    requests,
    inputTokens: 800 * made,
    outputTokens: 200 * made,
    costNanoUsd: 1_000_000 * made,
    address: '81.2.69.142',
    country: 'GB',
    latitude: 51.5,
    longitude: -0.1,
    ...cell,
    bucketMs: cell.bucketMs ?? bucketStart(firstMs, SOURCE_BUCKET_MS),
    firstMs,
    lastMs: cell.lastMs ?? firstMs,
  }
}

export interface History {
  /** End of the history: the next hour is open. */
  readonly untilMs?: number
  readonly days: number
  /** What the hour that starts at `hourMs` holds; nothing for an hour without usage. */
  readonly hour: (hourMs: number) => readonly Partial<Rollup>[]
  readonly suspect?: (hourMs: number) => boolean
  /** What the store says of the largest request of every hour; left out, it does not know. */
  readonly largestTokensPerRequest?: number
  /** Where the requests of the hour come from, one each; unknown unless told. */
  readonly places?: (hourMs: number) => readonly { readonly latitude: number; readonly longitude: number }[]
  readonly timeZone?: string
}

/** The profile of key-7 after a history. */
export function learnt({
  untilMs = NOON_MS,
  days,
  hour,
  suspect = () => false,
  places = () => [],
  timeZone = 'UTC',
  largestTokensPerRequest,
}: History): Profile {
  const startMs = bucketStart(untilMs - days * DAY_MS, HOUR_MS)
  let profile = emptyProfile({ keyId: 'key-7', firstSeenMs: startMs, timeZone })
  for (let hourMs = startMs; hourMs < untilMs; hourMs += HOUR_MS) {
    const rollups = hour(hourMs).map((cell) => rollup({ ...cell, bucketMs: hourMs }))
    if (rollups.length === 0) continue
    const sources = places(hourMs).map((place) =>
      source({ ...place, address: `${place.latitude}/${place.longitude}`, bucketMs: hourMs }),
    )
    const closed = { hourMs, rollups, sources, suspect: suspect(hourMs), largestTokensPerRequest }
    profile = learnHour(profile, closed, timeZone)
  }
  return profile
}

/** The hour of the day, UTC. */
export function hourOf(atMs: number): number {
  return new Date(atMs).getUTCHours()
}

/** True on Monday to Friday, UTC. */
export function isWeekday(atMs: number): boolean {
  return ![0, 6].includes(new Date(atMs).getUTCDay())
}

/** Recent usage of key-7, by minutes before `nowMs`; sources as they are. */
export function usage(
  cells: readonly (Partial<Rollup> & { readonly ago?: number })[],
  nowMs: number,
  sources: readonly SourceUsage[] = [],
): KeyUsage {
  const rollups = cells
    .map(({ ago = 0, ...cell }) => rollup({ ...cell, bucketMs: bucketStart(nowMs) - ago * MINUTE_MS }))
    .toSorted((a, b) => a.bucketMs - b.bucketMs)
  return { key: { keyId: 'key-7', teamId: undefined, environment: undefined }, rollups, sources }
}

/** What a detector finds with some settings of its YAML. */
export function find(
  detector: Detector,
  {
    usage: recent,
    profile,
    sites,
    nowMs,
  }: {
    readonly usage: KeyUsage
    readonly profile: Profile
    readonly sites?: readonly Site[]
    readonly nowMs: number
  },
  settings: Record<string, unknown> = {},
): Finding[] {
  const parsed = detector.settings.parse(settings)
  return detector.detect({ usage: recent, profile, sites, settings: parsed as never, nowMs })
}
