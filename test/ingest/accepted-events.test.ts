import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createEnricher } from '../../src/enrich/enrich-event.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { bundledPriceList } from '../../src/enrich/price.ts'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { parseUsageEvent } from '../../src/usage/parse-event.ts'
import fc from '../harness/fast-check.ts'
import { testDatabase } from '../harness/database.ts'

const text = (maxLength: number) => fc.string({ minLength: 1, maxLength, unit: 'binary' })
const count = fc.oneof(fc.nat(), fc.constantFrom(0, -0, 2_147_483_647))
const wireEvent = fc.record(
  {
    id: text(128),
    timestamp: fc.integer({ min: Date.UTC(2015, 0, 1), max: Date.UTC(2100, 11, 31) }),
    key_id: text(256),
    model: text(256),
    provider: text(256),
    ip: fc.oneof(fc.ipV4(), fc.ipV6()),
    input_tokens: count,
    output_tokens: count,
    cached_input_tokens: count,
    cost_usd: fc.double({ min: 0, max: 999_999, noNaN: true }),
    status_code: fc.integer({ min: 100, max: 599 }),
    latency_ms: count,
    team_id: text(256),
    user_id: text(1_024),
    environment: text(256),
    metadata: fc.dictionary(text(50), text(200)),
  },
  { requiredKeys: ['id', 'timestamp', 'key_id', 'model'] },
)

test('what is accepted can be stored: PostgreSQL takes every such event', { timeout: 60_000 }, async () => {
  const database = openDatabase(await testDatabase())
  const enrich = createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() })
  const events: EnrichedEvent[] = []
  // Few distinct days, because each takes a partition; the values are what matters.
  for (const raw of fc.sample(wireEvent, 3_000)) {
    const parsed = parseUsageEvent({ ...raw, timestamp: Date.UTC(2026, 2, 4) + (raw.timestamp % 86_400_000) })
    if (parsed.ok) events.push(enrich(parsed.event))
  }
  expect(events.length).toBeGreaterThan(1_000)
  const { inserted } = await createUsageWriter(database, systemClock).write({ events, rejected: [] })
  expect(inserted).toBe(new Set(events.map(({ keyId, id }) => JSON.stringify([keyId, id]))).size)
  await database.destroy()
})
