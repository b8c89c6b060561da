import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import { rollupsWithin, sumRollups } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { SOURCE_BUCKET_MS, type SourceUsage } from '../../usage/source.ts'
import type { Detection } from '../detector.ts'
import type { News } from '../novelty.ts'
import type { KnownValue, Profile } from '../profile.ts'
import { freshAddresses } from '../source-excess.ts'
import { ADDRESSES_MAX, newAddressRate } from '../source-habit.ts'
import type { FirstUseSettings } from './first-use.ts'

/** A model that does less of a key's work is not missed when it is not used for a while. */
const MAIN_SHARE = 0.1
/** A model unseen for so long was given up before the new one came. */
const GIVEN_UP_AFTER_MS = 3 * DAY_MS
/** New models that cost this much more a request than the usual ones are worth stealing; a successor costs up to some five times as much. */
const DEAR_RATIO = 10
/** For a key that meets more new addresses a day, one that comes with a new model is chance. */
const NEW_ADDRESSES_PER_DAY_MAX = 0.25

/**
 * True when new models look like somebody trying out what the key can do. At once, when they came with an address that is
 * as new as they are, to a key that seldom meets one. Else when they add to the key's work, and are several, or far dearer
 * than the usual ones, or used from a new address. A migration is none of it: the model that it replaces falls silent.
 */
export function isProbing(
  detection: Detection<FirstUseSettings>,
  { known, news }: { readonly known: readonly KnownValue[]; readonly news: readonly News[] },
): boolean {
  if (isFromNewcomer(detection, news)) return true
  return (
    !takesPlace(detection, { known, news }) &&
    (news.length > 1 || isDear(detection, news) || isFromNewAddress(detection, news))
  )
}

/** True when an address that first used the key together with the new models made the requests with them. */
function isFromNewcomer(
  { usage, profile, nowMs }: Detection<FirstUseSettings>,
  news: readonly News[],
): boolean {
  const { sources } = profile
  if (sources.addresses.length === 0 || sources.addresses.length >= ADDRESSES_MAX) return false
  if (isChanging(profile, nowMs)) return false
  const fromMs = bucketStart(Math.min(...news.map(({ seenMs }) => seenMs)), SOURCE_BUCKET_MS)
  const old = new Set(
    sources.addresses.filter(({ firstMs }) => firstMs < fromMs).map(({ address }) => address),
  )
  return areTheirs(
    usage.sources.filter(({ address, lastMs }) => !old.has(address) && lastMs >= fromMs),
    news,
  )
}

/** True while a model that does much of the key's work has not been used since the new ones came. */
function takesPlace(
  { usage, nowMs }: Detection<FirstUseSettings>,
  { known, news }: { readonly known: readonly KnownValue[]; readonly news: readonly News[] },
): boolean {
  const sinceMs = Math.min(...news.map(({ seenMs }) => seenMs))
  const names = new Set(news.map(({ value }) => value))
  const settled = known.filter(({ value, settled: isSettled }) => isSettled && !names.has(value))
  const total = settled.reduce((sum, { requests }) => sum + requests, 0)
  const main = settled.filter(
    ({ requests, lastSeenMs }) => requests >= MAIN_SHARE * total && lastSeenMs > nowMs - GIVEN_UP_AFTER_MS,
  )
  const used = new Set(
    usage.rollups
      .filter(({ bucketMs, requests, refused }) => bucketMs > sinceMs && requests > refused)
      .map(({ model }) => model),
  )
  return main.length === 0 || main.some(({ value }) => !used.has(value))
}

function isDear({ usage, profile, nowMs }: Detection<FirstUseSettings>, news: readonly News[]): boolean {
  const { sum, requests } = profile.volume.costNanoUsd
  if (requests <= 0 || sum <= 0) return false
  const names = new Set(news.map(({ value }) => value))
  const used = sumRollups(rollupsWithin(usage, HOUR_MS, nowMs).filter(({ model }) => names.has(model)))
  const priced = used.requests - used.refused - used.unpriced
  return priced > 0 && used.costNanoUsd / priced >= (DEAR_RATIO * sum) / requests
}

/** True when addresses that are as new as the models made about as many requests as were made with the models. */
function isFromNewAddress(
  { usage, profile, nowMs }: Detection<FirstUseSettings>,
  news: readonly News[],
): boolean {
  const fresh = freshAddresses(profile, usage, nowMs)
  if (fresh === undefined || isChanging(profile, nowMs)) return false
  const sinceMs = bucketStart(Math.min(...news.map(({ seenMs }) => seenMs)))
  return areTheirs(
    usage.sources.filter(({ address, lastMs }) => fresh.has(address) && lastMs >= sinceMs),
    news,
  )
}

function isChanging(profile: Profile, nowMs: number): boolean {
  return newAddressRate(profile.sources, { ...profile, nowMs }) > NEW_ADDRESSES_PER_DAY_MAX
}

/** True when the sources made about as many requests as were made with the new models. */
function areTheirs(sources: readonly SourceUsage[], news: readonly News[]): boolean {
  const { requests, refused } = sumRollups(sources)
  const made = requests - refused
  const withNews = news.reduce((sum, { requests }) => sum + requests, 0)
  return made >= withNews / 2 && made <= 2 * withNews
}
