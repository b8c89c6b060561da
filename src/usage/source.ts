import { MINUTE_MS } from './duration.ts'
import type { EnrichedEvent, Place } from './event.ts'
import { addInto, bucketStart, totalsOf, type UsageTotals } from './rollup.ts'

/** The time bucket of usage per address. Coarser than the cube's: `firstMs` and `lastMs` say when within it. */
export const SOURCE_BUCKET_MS = 10 * MINUTE_MS
/**
 * Most addresses of one key that are given for one bucket or hour: the busiest. Whoever changes the address with every
 * request must not make every tick as large as the traffic. The cube counts all of it.
 */
export const SOURCES_MAX = 1_000

/** Usage of one key from one address in one bucket. Events without an address are in the cube only. */
export interface SourceUsage extends UsageTotals {
  readonly keyId: string
  /** Start of the bucket, epoch milliseconds, a multiple of SOURCE_BUCKET_MS (or of an hour where the text says so). */
  readonly bucketMs: number
  /** As `parseUsageEvent` writes it: equal addresses are equal texts. */
  readonly address: string
  /** ISO 3166-1 alpha-2; undefined when the place is unknown. */
  readonly country: string | undefined
  /** Degrees; both undefined when the place is unknown. */
  readonly latitude: number | undefined
  readonly longitude: number | undefined
  /** Event times of the first and the last request in the bucket, refused ones too, epoch milliseconds. */
  readonly firstMs: number
  readonly lastMs: number
}

type Counted = { -readonly [Field in keyof SourceUsage]: SourceUsage[Field] }

/** The source that one event makes; undefined when it has no address. */
export function sourceOf(event: EnrichedEvent, totals = totalsOf(event)): Counted | undefined {
  const { keyId, ip, place, timestampMs } = event
  if (ip === undefined) return undefined
  const { latitude, longitude } = coordinatesOf(place)
  return {
    keyId,
    bucketMs: bucketStart(timestampMs, SOURCE_BUCKET_MS),
    address: ip,
    country: place?.country,
    latitude,
    longitude,
    requests: totals.requests,
    refused: totals.refused,
    inputTokens: totals.inputTokens,
    outputTokens: totals.outputTokens,
    cachedInputTokens: totals.cachedInputTokens,
    costNanoUsd: totals.costNanoUsd,
    unpriced: totals.unpriced,
    firstMs: timestampMs,
    lastMs: timestampMs,
  }
}

/** Adds a later or earlier part of the same source in place. The place stays: within a bucket an address has one. */
export function addSource(sum: Counted, more: SourceUsage): void {
  addInto(sum, more)
  sum.firstMs = Math.min(sum.firstMs, more.firstMs)
  sum.lastMs = Math.max(sum.lastMs, more.lastMs)
}

/** The sources of one hour, each summed to the hour: ascending by address, at most SOURCES_MAX. */
export function sumSources(hourMs: number, sources: Iterable<SourceUsage>): SourceUsage[] {
  const sums = new Map<string, Counted>()
  for (const source of sources) {
    const sum = sums.get(source.address)
    if (sum === undefined) sums.set(source.address, { ...source, bucketMs: hourMs })
    else addSource(sum, source)
  }
  return busiestSources([...sums.values()])
}

/** The SOURCES_MAX busiest of the sources of one bucket, ascending by address. The SQL in store/postgres/key-sources.ts says the same. */
export function busiestSources(sources: readonly SourceUsage[]): SourceUsage[] {
  // Nearly always it is one.
  if (sources.length < 2) return [...sources]
  if (sources.length <= SOURCES_MAX) return sources.toSorted(byAddress)
  return sources
    .toSorted((a, b) => b.requests - a.requests || byAddress(a, b))
    .slice(0, SOURCES_MAX)
    .toSorted(byAddress)
}

function byAddress(a: SourceUsage, b: SourceUsage): number {
  return a.address < b.address ? -1 : 1
}

/** False for 0, 0 (in the sea off Africa), which place databases write for "somewhere": that is unknown. */
export function isSomewhere(latitude: number, longitude: number): boolean {
  return latitude !== 0 || longitude !== 0
}

/** Where a place is, if that is known. */
export function coordinatesOf(
  place: Pick<Place, 'latitude' | 'longitude'> | undefined,
): Pick<SourceUsage, 'latitude' | 'longitude'> {
  const isKnown = place !== undefined && isSomewhere(place.latitude, place.longitude)
  return { latitude: isKnown ? place.latitude : undefined, longitude: isKnown ? place.longitude : undefined }
}
