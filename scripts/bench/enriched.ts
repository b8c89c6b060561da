import { createEnricher } from '../../src/enrich/enrich-event.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { bundledPriceList } from '../../src/enrich/price.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { parseUsageEvent } from '../../src/usage/parse-event.ts'
import type { SentEvent } from './traffic.ts'

/** Adds place and price as the daemon does. */
export const enrich = createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() })

/** The events as the writer gets them. */
export function enrichedOf(events: Iterable<SentEvent>): EnrichedEvent[] {
  return Array.from(events, (raw) => {
    const parsed = parseUsageEvent(raw)
    if (!parsed.ok) throw new Error(`the bench makes an event that is refused: ${parsed.error}`)
    return enrich(parsed.event)
  })
}
