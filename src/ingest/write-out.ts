import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import type { RejectedEvent, UsageWriter } from '../store/usage-store.ts'
import type { EnrichedEvent } from '../usage/event.ts'
import { isDataRefusal } from './data-refusal.ts'
import type { IngestMetrics } from './metrics.ts'

/** What one job wants written. */
export interface Work {
  readonly events: readonly IngestedEvent[]
  readonly rejected: readonly RejectedEvent[]
}

/** An event, and the row that takes its place should the database refuse it. */
export interface IngestedEvent {
  readonly event: EnrichedEvent
  reject(reason: string): RejectedEvent
}

/** The part of a logger that ingest uses. */
export interface IngestLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface WriteParts {
  readonly writer: UsageWriter
  readonly metrics: IngestMetrics
  readonly log: IngestLog
  readonly clock: Clock
  /** Ends the waiting for a database that is away. */
  readonly signal: AbortSignal
}

const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000
/** Tries before an error that is not the database's is blamed on the data. */
export const UNCLEAR_TRIES = 4

/**
 * Writes everything, whatever it takes: waits for a database that is away, and finds an event that the database refuses
 * by halving, so that it alone is rejected. Throws only when the signal aborts.
 */
export async function writeOut(work: Work, parts: WriteParts): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    parts.signal.throwIfAborted()
    try {
      await writeOnce(work, parts)
      if (tries > 1) parts.log.info({ tries }, 'usage is stored again')
      return
    } catch (error) {
      if (isDataRefusal(error, tries >= UNCLEAR_TRIES)) {
        await writeDivided(work, error, parts)
        return
      }
      await waitForStore(error, tries, parts)
    }
  }
}

/** Says so in the log, and waits: longer after each try. Throws when the signal aborts. */
export async function waitForStore(
  error: unknown,
  tries: number,
  { log, signal }: Pick<WriteParts, 'log' | 'signal'>,
): Promise<void> {
  const waitMs = Math.min(RETRY_FIRST_MS * 2 ** (tries - 1), RETRY_MAX_MS)
  log.warn({ err: error, tries, waitMs }, 'usage cannot be stored now: ingest waits and tries again')
  await delay(waitMs, undefined, { signal })
}

async function writeOnce({ events, rejected }: Work, { writer, metrics, clock }: WriteParts): Promise<void> {
  const startedMs = clock.nowMs()
  const { inserted, duplicates } = await writer.write({ events: events.map(({ event }) => event), rejected })
  metrics.batchSeconds((clock.nowMs() - startedMs) / 1_000)
  metrics.ingested(inserted)
  metrics.duplicate(duplicates)
}

/** Halves what the database refused until what it refuses stands alone, and rejects that. */
async function writeDivided(work: Work, error: unknown, parts: WriteParts): Promise<void> {
  const { events, rejected } = work
  if (events.length + rejected.length > 1) {
    for (const half of halves(work)) await writeOut(half, parts)
    return
  }
  const [refused] = events
  if (refused !== undefined) {
    parts.metrics.rejected('database', 1)
    const row = refused.reject(`event: the database refused it: ${String((error as Error).message)}`)
    return writeOut({ events: [], rejected: [row] }, parts)
  }
  const [row] = rejected
  if (row === undefined) return
  if (row.payload === undefined) {
    parts.log.error({ err: error, jobId: row.jobId, index: row.index }, 'a rejected event could not be kept')
    return
  }
  return writeOut({ events: [], rejected: [{ ...row, payload: undefined }] }, parts)
}

function halves({ events, rejected }: Work): Work[] {
  if (events.length === 0) {
    const middle = Math.ceil(rejected.length / 2)
    return [
      { events, rejected: rejected.slice(0, middle) },
      { events, rejected: rejected.slice(middle) },
    ]
  }
  if (rejected.length > 0)
    return [
      { events, rejected: [] },
      { events: [], rejected },
    ]
  const middle = Math.ceil(events.length / 2)
  return [
    { events: events.slice(0, middle), rejected },
    { events: events.slice(middle), rejected },
  ]
}

export function sizeOf({ events, rejected }: Work): number {
  return events.length + rejected.length
}
