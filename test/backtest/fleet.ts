import { enrichedEvent } from '../harness/builders.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'

/** A Monday, midnight UTC. */
export const START_MS = Date.parse('2026-03-02T00:00:00.000Z')
const HOME = { country: 'US', latitude: 37.751, longitude: -97.822 }
const ABROAD = { country: 'RO', latitude: 45.9968, longitude: 24.997 }

/** An address has one place. */
const ADDRESSES: Readonly<Record<string, string>> = { US: '8.8.8.8', CA: '99.240.1.1', RO: '86.120.1.1' }

/**
 * Ten days of two keys at work every hour, the second in two countries, and the theft of the first at 02:07 of the
 * eleventh: forty minutes of another country and model. In order of time; the same events in every run.
 */
export function fleetEvents(days = 10): EnrichedEvent[] {
  const events: EnrichedEvent[] = []
  for (let hourMs = START_MS; hourMs < START_MS + days * DAY_MS + 6 * HOUR_MS; hourMs += HOUR_MS) {
    for (let n = 0; n < 6; n += 1) {
      events.push(at(hourMs + n * 9 * MINUTE_MS + 3_000, { keyId: 'app-1' }))
      const place = n % 3 === 0 ? { ...HOME, country: 'CA' } : HOME
      events.push(at(hourMs + n * 7 * MINUTE_MS + 4_000, { keyId: 'app-2', place }))
    }
  }
  const theftMs = START_MS + days * DAY_MS + 2 * HOUR_MS + 7 * MINUTE_MS
  for (let n = 0; n < 400; n += 1) {
    events.push(
      at(theftMs + n * 6_000, { keyId: 'app-1', place: ABROAD, model: 'o1-pro', costNanoUsd: 90_000_000 }),
    )
  }
  return events
    .toSorted((a, b) => a.timestampMs - b.timestampMs)
    .map((event, index) => ({ ...event, id: `fleet-${index}` }))
}

function at(timestampMs: number, event: Partial<EnrichedEvent>): EnrichedEvent {
  const place = event.place ?? HOME
  return enrichedEvent({ timestampMs, place, ip: ADDRESSES[place.country], ...event })
}
