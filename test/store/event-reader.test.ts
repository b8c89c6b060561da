import { afterAll, beforeAll, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { StoredEvent } from '../../src/store/event-reader.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEventReader } from '../../src/store/postgres/event-reader.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'

let db: Database

beforeAll(async () => {
  db = openDatabase(await testDatabase())
})

afterAll(async () => {
  await db.destroy()
})

async function read(fromMs: number, toMs: number): Promise<StoredEvent[]> {
  const events: StoredEvent[] = []
  for await (const event of createEventReader(db).streamEvents({ fromMs, toMs })) events.push(event)
  return events
}

/** Without its place, which is not read back. */
function stored(event: EnrichedEvent): StoredEvent {
  const read: Partial<EnrichedEvent> = { ...event }
  delete (read as { place?: unknown }).place
  return read as StoredEvent
}

test('events come back as they were stored, in the order of time, from the start of the range to before its end', async () => {
  expect(await read(-Infinity, Infinity)).toEqual([])
  const full = enrichedEvent({
    timestampMs: SOME_TIME_MS,
    teamId: 'red',
    metadata: { a: 'b' },
    costEstimated: true,
  })
  const bare = enrichedEvent({
    timestampMs: SOME_TIME_MS - 20 * DAY_MS,
    provider: undefined,
    ip: undefined,
    place: undefined,
    costNanoUsd: undefined,
    latencyMs: undefined,
  })
  const early = enrichedEvent({ timestampMs: SOME_TIME_MS - 20 * DAY_MS - 1 })
  await createUsageWriter(db, new ManualClock(SOME_TIME_MS)).write({
    events: [full, bare, early],
    rejected: [],
  })
  expect(await read(-Infinity, Infinity)).toEqual([early, bare, full].map(stored))
  expect(await read(bare.timestampMs, full.timestampMs)).toEqual([stored(bare)])
})

test('a burst of more events than are held at a time is read whole and in order', async () => {
  const writer = createUsageWriter(db, new ManualClock(SOME_TIME_MS))
  const burstMs = SOME_TIME_MS - 5 * DAY_MS
  const burst = Array.from({ length: 23_000 }, (_, n) =>
    enrichedEvent({ keyId: `key-${n % 7}`, timestampMs: burstMs + (n % 900) }),
  )
  for (let n = 0; n < burst.length; n += 5_000)
    await writer.write({ events: burst.slice(n, n + 5_000), rejected: [] })
  const events = await read(burstMs, burstMs + 1_000)
  expect(events).toHaveLength(burst.length)
  expect(new Set(events.map(({ id }) => id)).size).toBe(burst.length)
  expect(
    events.every(({ timestampMs }, n) => n === 0 || timestampMs >= (events[n - 1]?.timestampMs ?? 0)),
  ).toBe(true)
})
