import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createEnricher } from '../../src/enrich/enrich-event.ts'
import { geoLitePlaces } from '../../src/enrich/place.ts'
import { bundledPriceList } from '../../src/enrich/price.ts'
import type { IngestMetrics } from '../../src/ingest/metrics.ts'
import { type Ingest, startIngest } from '../../src/ingest/worker.ts'
import { openQueues, type Queues } from '../../src/queue/queues.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { UsageBatch, UsageWriter } from '../../src/store/usage-store.ts'
import { hashSecret } from '../../src/usage/secret-key-id.ts'
import { usageEvent } from '../harness/builders.ts'

export const HASH_KEY = Buffer.alloc(32, 7)

/** What ingest counted, by name. */
export class Counts implements IngestMetrics {
  readonly seen = new Map<string, number>()
  ingested(count: number) {
    this.#add('ingested', count)
  }
  duplicate(count: number) {
    this.#add('duplicate', count)
  }
  rejected(reason: string, count: number) {
    this.#add(`rejected ${reason}`, count)
  }
  secretReplaced(count: number) {
    this.#add('secret', count)
  }
  unpriced(count: number) {
    this.#add('unpriced', count)
  }
  jobsDone(taken: string, count: number) {
    this.#add(`jobs ${taken}`, count)
  }
  batchSeconds() {
    this.#add('batches', 1)
  }
  of(name: string): number {
    return this.seen.get(name) ?? 0
  }
  #add(name: string, count: number) {
    this.seen.set(name, this.of(name) + count)
  }
}

/** Ingest as the daemon runs it, on the given servers. */
export function ingestOn(parts: {
  queues: Queues
  queueName: string
  database: Database
  metrics: IngestMetrics
  take?: 'bulk' | 'plain'
  writer?: UsageWriter
}): Ingest {
  return startIngest({
    ...parts,
    writer: parts.writer ?? createUsageWriter(parts.database, systemClock),
    enrich: createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() }),
    hashKey: HASH_KEY,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    clock: systemClock,
  })
}

export interface Totals {
  readonly events: number
  readonly counted: number
  readonly rejected: number
}

/** Raw rows, what the rollups add up to, and rejected rows. */
export async function totalsIn(database: Database): Promise<Totals> {
  const { rows } = await sql<Totals>`
    select (select count(*) from usage_event) as events,
           (select coalesce(sum(requests), 0)::bigint from usage_rollup) as counted,
           (select count(*) from rejected_event) as rejected`.execute(database)
  return rows[0] as Totals
}

/** Resolves when no job waits or runs. */
export async function drained(queues: Queues, queueName: string, timeoutMs = 60_000): Promise<void> {
  await vi.waitFor(
    async () => {
      const { waiting, active, delayed } = await queues.queue(queueName).counts()
      expect(waiting + active + delayed).toBe(0)
    },
    { timeout: timeoutMs, interval: 50 },
  )
}

/** What ingest guarantees, on any queue backend and both ways of taking jobs. `breaks` are what the backend itself lets through. */
export function ingestContract(
  name: string,
  servers: () => Promise<{ redisUrl?: string; databaseUrl: string }>,
  breaks: readonly object[],
): void {
  for (const take of ['bulk', 'plain'] as const)
    contractOf(`${name}, jobs taken ${take}`, take, servers, breaks)
}

function contractOf(
  name: string,
  take: 'bulk' | 'plain',
  servers: () => Promise<{ redisUrl?: string; databaseUrl: string }>,
  breaks: readonly object[],
): void {
  describe(`ingest from ${name}`, () => {
    let queues: Queues
    let database: Database
    let running: Ingest[] = []
    let queueName: string
    let metrics: Counts

    beforeAll(async () => {
      const { redisUrl, databaseUrl } = await servers()
      queues = await openQueues({ redisUrl, databaseUrl })
      database = openDatabase(databaseUrl)
    })
    afterEach(async () => {
      await Promise.all(running.map((ingest) => ingest.stop()))
      running = []
    })
    afterAll(async () => {
      await queues.close()
      await database.destroy()
    })

    function prepare(): void {
      queueName = `usage-${randomUUID()}`
      metrics = new Counts()
    }
    function run(writer = createUsageWriter(database, systemClock)): void {
      running.push(ingestOn({ queues, queueName, database, metrics, take, writer }))
    }
    function start(): void {
      prepare()
      run()
    }
    const push = async (...data: readonly unknown[]): Promise<void> => {
      await queues.queue(queueName).add(data.map((each) => ({ name: 'any', data: each })))
    }
    const eventIn = async (id: string) =>
      database.selectFrom('usage_event').selectAll().where('event_id', '=', id).executeTakeFirst()
    const reasons = async (since: Date): Promise<string[]> =>
      (
        await database
          .selectFrom('rejected_event')
          .select('reason')
          .where('received_at', '>=', since)
          .orderBy('reason')
          .execute()
      ).map(({ reason }) => reason)

    test(
      '10,000 events, 1 in 20 repeated and 1 in 50 broken, are counted exactly by two that ingest at once',
      { timeout: 90_000 },
      async () => {
        prepare()
        const before = await totalsIn(database)
        const { jobs, valid, broken } = traffic(10_000, breaks)
        await push(...jobs)
        run()
        run()
        await drained(queues, queueName)
        const after = await totalsIn(database)
        expect(after.events - before.events).toBe(valid)
        expect(after.counted - before.counted).toBe(valid)
        expect(after.rejected - before.rejected).toBe(broken)
        expect(metrics.of('ingested')).toBe(valid)
        // A job that runs twice, because the machine was too slow to renew its lock, is counted twice; its rows are not.
        expect(metrics.of('rejected invalid')).toBeGreaterThanOrEqual(broken)
        expect(metrics.of('jobs bulk') + metrics.of('jobs plain')).toBeGreaterThanOrEqual(jobs.length)
        if (take === 'plain') expect(metrics.of('jobs bulk')).toBe(0)
        else expect(metrics.of('jobs bulk')).toBeGreaterThan(jobs.length * 0.9)
        expect(await queues.queue(queueName).counts()).toMatchObject({ failed: 0 })
      },
    )

    test('a job that is not an event is one rejected row with the reason, and fails nothing', async () => {
      start()
      const since = new Date()
      const good = usageEvent()
      await push(
        7,
        [],
        'text',
        { events: [] },
        { events: 'none' },
        { events: Array(1_001).fill(usageEvent()) },
        good,
      )
      await drained(queues, queueName)
      expect(await reasons(since)).toEqual([
        'job: "events" is empty',
        'job: "events" is not an array',
        'job: 1001 events are more than 1000',
        'job: is neither an event nor {"events": [...]}',
        'job: is neither an event nor {"events": [...]}',
        'job: is neither an event nor {"events": [...]}',
      ])
      expect(await eventIn(good.id)).toBeDefined()
      expect(await queues.queue(queueName).counts()).toMatchObject({ failed: 0 })
    })

    test('an event from the far future is refused, one of tomorrow morning and one of ten years ago are not', async () => {
      start()
      const since = new Date()
      const at = (ms: number) => new Date(Date.now() + ms).toISOString()
      const future = usageEvent({ timestamp: at(25 * 3_600_000) })
      const tomorrow = usageEvent({ timestamp: at(23 * 3_600_000) })
      const old = usageEvent({ timestamp: at(-10 * 365 * 86_400_000) })
      await push({ events: [future, tomorrow, old] })
      await drained(queues, queueName)
      expect(await reasons(since)).toEqual([
        `timestamp: ${String(future.timestamp)} is more than 24 hours ahead of the clock`,
      ])
      expect(await eventIn(tomorrow.id)).toBeDefined()
      expect(await eventIn(old.id)).toBeDefined()
      expect(metrics.of('rejected future')).toBe(1)
    })

    test('a secret sent as key_id is stored nowhere, only its hash is', async () => {
      start()
      const secret = 'sk-proj-Zm9vYmFyYmF6cXV4Zm9v'
      const event = usageEvent({ key_id: secret })
      await push(event, {
        ...usageEvent({ key_id: secret }),
        model: 5,
        headers: { authorization: `Bearer ${secret}` },
      })
      await drained(queues, queueName)
      expect((await eventIn(event.id))?.key_id).toBe(hashSecret(secret, HASH_KEY))
      expect(metrics.of('secret')).toBe(1)
      const dump = await sql<{ all: string }>`
        select concat((select string_agg(e::text, ' ') from usage_event e), (select string_agg(r::text, ' ') from rejected_event r),
                      (select string_agg(u::text, ' ') from usage_rollup u)) as all`.execute(database)
      expect(dump.rows[0]?.all).not.toContain('Zm9vYmFy')
    })

    test('what keyhound itself refused at the door is kept with its place and reason', async () => {
      start()
      const since = new Date()
      await push({
        events: [],
        refused: [{ index: 12, error: 'event: the line is not valid JSON', payload: '{"id' }],
      })
      await drained(queues, queueName)
      expect(await reasons(since)).toEqual(['event: the line is not valid JSON'])
    })

    test('an event that the database refuses is rejected alone, whatever it came together with', async () => {
      prepare()
      const since = new Date()
      const events = Array.from({ length: 40 }, () => usageEvent())
      const [, , , , , , , bad] = events
      await push(...events)
      run(refusing(createUsageWriter(database, systemClock), bad?.id ?? ''))
      await drained(queues, queueName)
      expect(await reasons(since)).toEqual(['event: the database refused it: out of range'])
      for (const { id } of events) expect((await eventIn(id)) !== undefined).toBe(id !== bad?.id)
      expect(metrics.of('ingested')).toBe(39)
      expect(await queues.queue(queueName).counts()).toMatchObject({ failed: 0 })
    })

    test('a job that runs again adds nothing, neither events nor rejected rows', async () => {
      start()
      const event = usageEvent()
      await push(event)
      await drained(queues, queueName)
      const before = await totalsIn(database)
      await push(event, { events: [event, event] })
      await drained(queues, queueName)
      expect(await totalsIn(database)).toEqual(before)
      expect(metrics.of('duplicate')).toBe(3)
    })
  })
}

/** A writer on a database that refuses one event, as it would refuse a number that is out of range. */
function refusing(writer: UsageWriter, id: string): UsageWriter {
  const refuse = (batch: UsageBatch): void => {
    if (batch.events.some((event) => event.id === id)) {
      throw Object.assign(new Error('out of range'), { code: '22003' })
    }
  }
  return {
    write: async (batch) => {
      refuse(batch)
      return writer.write(batch)
    },
    writeTaken: async (take) => {
      if (writer.writeTaken === undefined) throw new Error('the writer takes nothing')
      return writer.writeTaken(async (trx) => {
        const batch = await take(trx)
        refuse(batch)
        return batch
      })
    },
  }
}

/** Jobs of one event and of a hundred, with repeats and broken events among them; and what must come of it. */
function traffic(
  count: number,
  breaks: readonly object[],
): { jobs: unknown[]; valid: number; broken: number } {
  const deliveries: unknown[] = []
  let valid = 0
  let broken = 0
  for (let at = 0; at < count; at += 1) {
    const time = new Date(Date.now() - (at % 3_600) * 1_000).toISOString()
    const event = usageEvent({
      key_id: `key-${at % 37}`,
      timestamp: time,
      model: at % 3 === 0 ? 'gpt-4o' : 'o3',
    })
    if (at % 50 === 7) {
      broken += 1
      deliveries.push({ ...event, ...breaks[at % breaks.length] })
      continue
    }
    valid += 1
    deliveries.push(event)
    if (at % 20 === 3) deliveries.splice((at * 7_919) % deliveries.length, 0, event)
  }
  const single = deliveries.slice(0, 2_000)
  const jobs: unknown[] = [...single]
  for (let at = single.length; at < deliveries.length; at += 100)
    jobs.push({ events: deliveries.slice(at, at + 100) })
  return { jobs, valid, broken }
}

/** What makes an event invalid. */
export const BREAKS: readonly object[] = [
  { key_id: '' },
  { timestamp: '2026-02-30T00:00:00Z' },
  { input_tokens: -1 },
  { cost_usd: 'free' },
  { status_code: 1_000 },
]
/** Invalid as well, and refused by PostgreSQL's jsonb before it is in the queue. */
export const BREAKS_IN_TEXT: readonly object[] = [{ model: 'a\u0000b' }, { key_id: '\ud800' }]
