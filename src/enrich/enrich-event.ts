import type { EnrichedEvent, UsageEvent } from '../usage/event.ts'
import type { PlaceFinder } from './place.ts'
import type { PriceList } from './price.ts'

/** Adds place and price to an event. Pure but for its caches: the same event always gets the same. */
export type EnrichEvent = (event: UsageEvent) => EnrichedEvent

/**
 * Makes the function that ingest and backtest share. The gateway's cost stands when there is one. Else the price list
 * answers, with two rules: a refused call of a known model costs 0, because providers do not bill what they refuse; and
 * a successful call without any tokens stays unknown, because the gateway did not say what was used.
 */
export function createEnricher({
  places,
  prices,
}: {
  readonly places: PlaceFinder
  readonly prices: PriceList
}): EnrichEvent {
  return (event) => {
    const place = event.ip === undefined ? undefined : places.find(event.ip)
    if (event.costNanoUsd !== undefined) return { ...event, place, costEstimated: false }
    const costNanoUsd = estimate(event, prices)
    return { ...event, place, costNanoUsd, costEstimated: costNanoUsd !== undefined }
  }
}

function estimate(event: UsageEvent, prices: PriceList): number | undefined {
  const refused = event.statusCode >= 400
  if (!refused && event.inputTokens + event.outputTokens + event.cachedInputTokens === 0) return undefined
  const cost = prices.costNanoUsd(event)
  return refused && cost !== undefined ? 0 : cost
}
