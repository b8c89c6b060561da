import type { KeyUsage } from './key-usage.ts'
import { NO_USAGE, type UsageTotals } from './rollup.ts'

/**
 * What most ticks of most keys need to know of their usage: enough to see that nothing is new. Lists of values hold all
 * that the usage has, perhaps more, and are undefined when that is too much: whoever asks then looks for himself.
 */
export interface UsageDigest {
  /** The tick whose usage it is. */
  readonly nowMs: number
  readonly models: readonly string[] | undefined
  readonly countries: readonly string[] | undefined
  readonly addresses: readonly string[] | undefined
  /** Where the addresses with a known place are. */
  readonly coordinates: readonly Coordinates[] | undefined
  /** The sum of the minutes from `fromMs` to the tick. */
  since(fromMs: number): UsageTotals
}

export interface Coordinates {
  readonly latitude: number
  readonly longitude: number
}

/** More values than this are not collected: whoever asks then looks at the rollups. */
const VALUES_MAX = 24

/**
 * The digest of the usage up to `nowMs`: the store's own, else made in one pass. Of those only the newest is kept, in
 * columns that are used again, for detectors judge one key after the other. It is valid until the next call.
 */
export function digestOf(usage: KeyUsage, nowMs: number): UsageDigest {
  if (usage.digest?.nowMs === nowMs) return usage.digest
  const { rollups, sources } = usage
  if (rollups !== digested || sources !== digestedSources || nowMs !== digest.nowMs) {
    digested = undefined
    read(rollups, nowMs)
    readSources(sources)
    digested = rollups
    digestedSources = sources
    digest.nowMs = nowMs
  }
  return digest
}

let digested: KeyUsage['rollups'] | undefined
let digestedSources: KeyUsage['sources'] | undefined

/** A row for each minute with usage, the newest first: its start, and the seven sums from there to the tick. */
const COLUMNS = 8
let table = new Float64Array(COLUMNS * 128)
let rows = 0
const digest: { -readonly [Part in keyof UsageDigest]: UsageDigest[Part] } = {
  nowMs: NaN,
  models: undefined,
  countries: undefined,
  addresses: undefined,
  coordinates: undefined,
  since,
}

function read(rollups: KeyUsage['rollups'], nowMs: number): void {
  if (table.length < COLUMNS * rollups.length) table = new Float64Array(2 * COLUMNS * rollups.length)
  const models: string[] = []
  const countries: string[] = []
  let [requests, refused, inputTokens, outputTokens, cachedInputTokens, cost, unpriced] = [
    0, 0, 0, 0, 0, 0, 0,
  ]
  let bucketMs = NaN
  let model: string | undefined
  let country: string | undefined
  let at = -COLUMNS
  for (let index = rollups.length - 1; index >= 0; index -= 1) {
    const rollup = rollups[index]
    if (rollup === undefined || rollup.bucketMs > nowMs) continue
    if (rollup.bucketMs !== bucketMs) {
      bucketMs = rollup.bucketMs
      at += COLUMNS
    }
    requests += rollup.requests
    refused += rollup.refused
    inputTokens += rollup.inputTokens
    outputTokens += rollup.outputTokens
    cachedInputTokens += rollup.cachedInputTokens
    cost += rollup.costNanoUsd
    unpriced += rollup.unpriced
    table[at] = bucketMs
    table[at + 1] = requests
    table[at + 2] = refused
    table[at + 3] = inputTokens
    table[at + 4] = outputTokens
    table[at + 5] = cachedInputTokens
    table[at + 6] = cost
    table[at + 7] = unpriced
    // Texts are compared only where they change: most rollups repeat the last one's.
    if (rollup.model !== model) collect(models, (model = rollup.model))
    if (rollup.country !== country) collect(countries, (country = rollup.country))
  }
  rows = at / COLUMNS + 1
  digest.models = models.length > VALUES_MAX ? undefined : models
  digest.countries = countries.length > VALUES_MAX ? undefined : countries
}

function readSources(sources: KeyUsage['sources']): void {
  const addresses: string[] = []
  const coordinates: Coordinates[] = []
  for (const { address, latitude, longitude } of sources) {
    collect(addresses, address)
    if (latitude === undefined || longitude === undefined || coordinates.length > VALUES_MAX) continue
    const isKnown = coordinates.some((at) => at.latitude === latitude && at.longitude === longitude)
    if (!isKnown) coordinates.push({ latitude, longitude })
  }
  digest.addresses = addresses.length > VALUES_MAX ? undefined : addresses
  digest.coordinates = coordinates.length > VALUES_MAX ? undefined : coordinates
}

function collect(values: string[], value: string | undefined): void {
  if (value !== undefined && values.length <= VALUES_MAX && !values.includes(value)) values.push(value)
}

function since(fromMs: number): UsageTotals {
  // The last row that is not before it.
  let low = -1
  let high = rows - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((table[middle * COLUMNS] ?? 0) >= fromMs) low = middle
    else high = middle - 1
  }
  if (low < 0) return NO_USAGE
  const at = low * COLUMNS
  return {
    requests: table[at + 1] ?? 0,
    refused: table[at + 2] ?? 0,
    inputTokens: table[at + 3] ?? 0,
    outputTokens: table[at + 4] ?? 0,
    cachedInputTokens: table[at + 5] ?? 0,
    costNanoUsd: table[at + 6] ?? 0,
    unpriced: table[at + 7] ?? 0,
  }
}
