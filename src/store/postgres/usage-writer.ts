import type { Kysely } from 'kysely'
import type { Clock } from '../../clock.ts'
import { DAY_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type { UsageBatch, UsageWriter, Written } from '../usage-store.ts'
import type { Database } from './database.ts'
import { insertUsage } from './insert-usage.ts'
import { KeyMemory, type KeyNews } from './key-news.ts'
import { ensurePartitions } from './partitions.ts'
import { insertRejected } from './rejected-events.ts'
import { takeTurns } from './take-turns.ts'

/**
 * The daemon's UsageWriter. Many may run at once, in one process and in many: all insert in the same order, so that
 * they never deadlock. Of deliveries of one id with different stamps that two processes write at the very same moment,
 * both may count; within a process they wait for one another.
 */
export function createUsageWriter(db: Database, clock: Clock): UsageWriter {
  const daysKnown = new Set<number>()
  const turns = takeTurns()
  const memory = new KeyMemory()

  async function ensureDays(events: readonly EnrichedEvent[]): Promise<void> {
    const days = new Set(events.map((event) => bucketStart(event.timestampMs, DAY_MS)))
    const unknown = [...days].filter((day) => !daysKnown.has(day))
    if (unknown.length === 0) return
    await ensurePartitions(db, unknown, clock.nowMs())
    for (const day of unknown) daysKnown.add(day)
  }

  /** All steps in the order that keeps writers from deadlocking: partitions, turns, rejected rows, then events. */
  async function writeIn(
    trx: Database,
    { events, rejected }: UsageBatch,
    turn: (letGo: () => void) => void,
  ): Promise<Written & { news: KeyNews }> {
    const unique = firstOfEach(events)
    const news = memory.newsOf(unique.values())
    await ensureDays([...unique.values()])
    turn(await turns([...unique.keys()]))
    await insertRejected(trx, rejected)
    const inserted = await insertUsage(trx, { events: [...unique.values()], news })
    return { inserted, duplicates: events.length - inserted, news }
  }

  /** Turns end after the commit: only then do others find the events. */
  async function inTurn(
    work: (turn: (letGo: () => void) => void) => Promise<Written & { news: KeyNews }>,
  ): Promise<Written> {
    let letGo = (): void => undefined
    try {
      const { inserted, duplicates, news } = await work((end) => (letGo = end))
      memory.remember(news)
      return { inserted, duplicates }
    } finally {
      letGo()
    }
  }

  return {
    write: (batch) =>
      inTurn((turn) => {
        if (batch.rejected.length === 0) return writeIn(db, batch, turn)
        return db.transaction().execute((trx) => writeIn(trx, batch, turn))
      }),
    writeTaken: (take) =>
      inTurn((turn) =>
        db.transaction().execute(async (trx) => {
          // Kysely of these tables can do all that a Kysely of unknown tables can; the types do not say so.
          return writeIn(trx, await take(trx as unknown as Kysely<unknown>), turn)
        }),
      ),
  }
}

/** The first delivery of every id in the batch, by an unmistakable text of key and id. */
function firstOfEach(events: readonly EnrichedEvent[]): Map<string, EnrichedEvent> {
  const first = new Map<string, EnrichedEvent>()
  for (const event of events) {
    const identity = `${event.keyId.length}:${event.keyId}${event.id}`
    if (!first.has(identity)) first.set(identity, event)
  }
  return first
}
