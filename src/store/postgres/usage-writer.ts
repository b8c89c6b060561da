import type { Kysely } from 'kysely'
import type { Clock } from '../../clock.ts'
import { DAY_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type { UsageBatch, UsageWriter, Written } from '../usage-store.ts'
import type { Database } from './database.ts'
import { insertUsage, isRaceForIds } from './insert-usage.ts'
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

  async function ensureDays(events: Iterable<EnrichedEvent>): Promise<void> {
    const unknown = new Set<number>()
    for (const { timestampMs } of events) {
      const day = bucketStart(timestampMs, DAY_MS)
      if (!daysKnown.has(day)) unknown.add(day)
    }
    if (unknown.size === 0) return
    await ensurePartitions(db, unknown, clock.nowMs())
    for (const day of unknown) daysKnown.add(day)
  }

  /** All steps in the order that keeps writers from deadlocking: partitions, turns, rejected rows, then events. */
  async function writeIn(
    trx: Database,
    { events, rejected }: UsageBatch,
    { turn, contested }: Try,
  ): Promise<Written & { news: KeyNews }> {
    const unique = firstOfEach(events)
    const news = memory.newsOf(unique.values())
    await ensureDays(unique.values())
    turn(await turns([...unique.keys()]))
    await insertRejected(trx, rejected)
    const inserted = await insertUsage(trx, { events: [...unique.values()], news }, { contested })
    return { inserted, duplicates: events.length - inserted, news }
  }

  /** Turns end after the commit: only then do others find the events. */
  async function inTurn(
    work: (attempt: Try) => Promise<Written & { news: KeyNews }>,
    contested = false,
  ): Promise<Written> {
    let letGo = (): void => undefined
    try {
      const { inserted, duplicates, news } = await work({ turn: (end) => (letGo = end), contested })
      memory.remember(news)
      return { inserted, duplicates }
    } catch (error) {
      if (contested || !isRaceForIds(error)) throw error
    } finally {
      letGo()
    }
    return inTurn(work, true)
  }

  return {
    write: (batch) =>
      inTurn((attempt) => {
        if (batch.rejected.length === 0) return writeIn(db, batch, attempt)
        return db.transaction().execute((trx) => writeIn(trx, batch, attempt))
      }),
    writeTaken: (take) =>
      inTurn((attempt) =>
        db.transaction().execute(async (trx) => {
          // Kysely of these tables can do all that a Kysely of unknown tables can; the types do not say so.
          return writeIn(trx, await take(trx as unknown as Kysely<unknown>), attempt)
        }),
      ),
  }
}

interface Try {
  /** Told how to end the turn. */
  readonly turn: (letGo: () => void) => void
  /** Another process stored some of the ids while the first try ran. */
  readonly contested: boolean
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
