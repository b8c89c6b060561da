import type { Prior, Site } from '../detect/prior.ts'
import type { Profile } from '../detect/profile.ts'
import { withTaught, type Taught } from '../detect/taught.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { bucketStart, type UsageTotals } from '../usage/rollup.ts'
import { SOURCE_BUCKET_MS } from '../usage/source.ts'

/** What is known of a key besides its usage: what people said of it, and what was done to it. */
export interface KeyStanding {
  /** Since when it is revoked; undefined when it is not. */
  readonly revokedSinceMs: number | undefined
  /** What a person said is safe, not expired. */
  readonly taught: readonly Taught[]
}

/** The standing of every key that has one to speak of; of most there is none. */
export type KeyStandings = ReadonlyMap<string, KeyStanding>

/** Usage and profile of a key as they are to be judged. */
export interface Judged {
  readonly usage: KeyUsage
  readonly profile: Profile
  /** What is usual in its team or fleet, if that is known. */
  readonly prior?: Prior | undefined
  /** Where several keys of the fleet are at home. */
  readonly sites?: readonly Site[] | undefined
  readonly taught: readonly Taught[]
  /** The instant of the tick. */
  readonly nowMs: number
}

/**
 * A key as it is to be judged: what was taught is known, and what a revoked key is refused is no news. Undefined when a
 * revoked key has nothing else to show.
 */
export function judgedWith(
  standing: KeyStanding | undefined,
  { usage, profile, prior, sites, nowMs }: Omit<Judged, 'taught'>,
): Judged | undefined {
  if (standing === undefined) return { usage, profile, prior, sites, taught: NOTHING_TAUGHT, nowMs }
  const { revokedSinceMs, taught } = standing
  const left = revokedSinceMs === undefined ? usage : withoutRefusals(usage, revokedSinceMs)
  if (revokedSinceMs !== undefined && left.rollups.length === 0) return undefined
  return { usage: left, profile: withTaught(profile, taught), prior, sites, taught, nowMs }
}

const NOTHING_TAUGHT: readonly Taught[] = []

/**
 * The usage of a revoked key without what was refused since: its own 401s and 403s are what a revocation is for. What
 * still succeeds stays.
 */
export function withoutRefusals(usage: KeyUsage, sinceMs: number): KeyUsage {
  return {
    ...usage,
    rollups: stripped(usage.rollups, bucketStart(sinceMs)),
    sources: stripped(usage.sources, bucketStart(sinceMs, SOURCE_BUCKET_MS)),
  }
}

function stripped<Part extends UsageTotals & { readonly bucketMs: number }>(
  parts: readonly Part[],
  fromMs: number,
): readonly Part[] {
  return parts.flatMap((part) => {
    if (part.refused === 0 || part.bucketMs < fromMs) return [part]
    const requests = part.requests - part.refused
    return requests === 0 ? [] : [{ ...part, requests, refused: 0 }]
  })
}
