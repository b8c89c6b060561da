import { MINUTE_MS } from './duration.ts'
import type { EnrichedEvent } from './event.ts'

/** The finest time bucket that is kept; windows are whole buckets. */
export const BUCKET_MS = MINUTE_MS

/** Counters of a set of requests. `requests - refused` is the volume: refused calls cost nothing and prove nothing. */
export interface UsageTotals {
  readonly requests: number
  /** Requests answered with status 400 or above. */
  readonly refused: number
  /** Tokens of the successful requests: a storm of refused retries is no volume. */
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
  /** Sum of the known costs, also of refused requests, in 10^-9 US dollars. */
  readonly costNanoUsd: number
  /** Successful requests whose cost nobody knows; they are not in `costNanoUsd`. */
  readonly unpriced: number
}

/** Usage of one key in one bucket, by model and country: the cube that `usage_rollup` holds. */
export interface Rollup extends UsageTotals {
  readonly keyId: string
  /** Start of the bucket, epoch milliseconds, a multiple of BUCKET_MS (or of an hour where the text says so). */
  readonly bucketMs: number
  readonly model: string
  /** ISO 3166-1 alpha-2; undefined when the place is unknown. */
  readonly country: string | undefined
}

export const NO_USAGE: UsageTotals = {
  requests: 0,
  refused: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  costNanoUsd: 0,
  unpriced: 0,
}

/** The start of the bucket of `sizeMs` that holds the instant. */
export function bucketStart(atMs: number, sizeMs: number = BUCKET_MS): number {
  return Math.floor(atMs / sizeMs) * sizeMs
}

/** The counters that one event adds. The SQL in store/postgres/usage-writer.ts must say the same; the contract test holds them equal. */
export function totalsOf(event: EnrichedEvent): UsageTotals {
  const refused = event.statusCode >= 400
  return {
    requests: 1,
    refused: refused ? 1 : 0,
    inputTokens: refused ? 0 : event.inputTokens,
    outputTokens: refused ? 0 : event.outputTokens,
    cachedInputTokens: refused ? 0 : event.cachedInputTokens,
    costNanoUsd: event.costNanoUsd ?? 0,
    unpriced: !refused && event.costNanoUsd === undefined ? 1 : 0,
  }
}

export function addTotals(a: UsageTotals, b: UsageTotals): UsageTotals {
  const sum = { ...a }
  addInto(sum, b)
  return sum
}

/** Adds to counters in place: for the paths on which an object per event would be felt. */
export function addInto(sum: { -readonly [Counter in keyof UsageTotals]: number }, more: UsageTotals): void {
  sum.requests += more.requests
  sum.refused += more.refused
  sum.inputTokens += more.inputTokens
  sum.outputTokens += more.outputTokens
  sum.cachedInputTokens += more.cachedInputTokens
  sum.costNanoUsd += more.costNanoUsd
  sum.unpriced += more.unpriced
}
