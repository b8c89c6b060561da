import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import { rollupsWithin, sumRollups } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type { Detection } from '../detector.ts'
import type { News } from '../novelty.ts'
import type { KnownValue } from '../profile.ts'
import { freshAddresses } from '../source-excess.ts'
import type { FirstUseSettings } from './first-use.ts'

/** A model that does less of a key's work is not missed when it is not used for a while. */
const MAIN_SHARE = 0.1
/** A model unseen for so long was given up before the new one came. */
const GIVEN_UP_AFTER_MS = 3 * DAY_MS
/** New models that cost this much more a request than the usual ones are worth stealing. */
const DEAR_RATIO = 3

/**
 * True when new models add to the key's work, and look like somebody trying out what the key can do: several at once, or
 * far dearer than the usual ones, or from an address that is as new as they are. A migration is none of it: the model
 * that it replaces falls silent.
 */
export function isProbing(
  detection: Detection<FirstUseSettings>,
  { known, news }: { readonly known: readonly KnownValue[]; readonly news: readonly News[] },
): boolean {
  return (
    !takesPlace(detection, { known, news }) &&
    (news.length > 1 || isDear(detection, news) || isFromNewAddress(detection, news))
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
  if (fresh === undefined) return false
  const sinceMs = bucketStart(Math.min(...news.map(({ seenMs }) => seenMs)))
  const strange = sumRollups(
    usage.sources.filter(({ address, lastMs }) => fresh.has(address) && lastMs >= sinceMs),
  )
  const made = strange.requests - strange.refused
  const withNews = news.reduce((sum, { requests }) => sum + requests, 0)
  return made >= withNews / 2 && made <= 2 * withNews
}
