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

/** The part of a logger that ingest uses. */
export interface IngestLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** An event, and the row that takes its place should the database refuse it. */
export interface IngestedEvent {
  readonly event: EnrichedEvent
  reject(reason: string): RejectedEvent
}

export interface Batcher {
  /** Resolves once all of the work is committed. Rejects with the signal's reason when that aborts first: then write it again. */
  write(work: Work): Promise<void>
}

interface BatcherParts {
  readonly writer: UsageWriter
  readonly metrics: IngestMetrics
  readonly log: IngestLog
  readonly clock: Clock
  /** Ends the waiting for a database that is away. */
  readonly signal: AbortSignal
}

/** Measured: batches of 250 reach 0.6 of the speed, batches of 4,000 gain nothing. */
export const BATCH_EVENTS = 1_000
const BATCH_WAIT_MS = 20
/** A second batch is prepared and sent while the first is being committed; a third gains nothing on one database. */
const BATCHES_IN_FLIGHT = 2

interface Pending extends Work {
  readonly size: number
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/**
 * Collects the work of all running jobs into batches: one goes out when BATCH_EVENTS have come together, or
 * BATCH_WAIT_MS after the first, at most BATCHES_IN_FLIGHT at a time. A database that is away makes everybody wait, and
 * an event that the database refuses is found by halving, rejected, and holds up nobody.
 */
export function createBatcher(parts: BatcherParts): Batcher {
  let waiting: Pending[] = []
  let waitingSize = 0
  let inFlight = 0
  let timer: NodeJS.Timeout | undefined
  let overdue = false

  const pump = (): void => {
    while (inFlight < BATCHES_IN_FLIGHT && waiting.length > 0 && (overdue || waitingSize >= BATCH_EVENTS)) {
      const batch = takeBatch(waiting)
      waiting = waiting.slice(batch.length)
      waitingSize -= batch.reduce((sum, item) => sum + item.size, 0)
      inFlight += 1
      overdue = false
      void commit(batch, parts).finally(() => {
        inFlight -= 1
        // Whoever waited during the commit has waited long enough.
        overdue = true
        pump()
      })
    }
    schedule()
  }
  const schedule = (): void => {
    if (waiting.length === 0) overdue = false
    if (waiting.length === 0 || timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      overdue = true
      pump()
    }, BATCH_WAIT_MS)
  }
  return {
    write(work) {
      const size = work.events.length + work.rejected.length
      if (size === 0) return Promise.resolve()
      return new Promise((done, failed) => {
        waiting.push({ ...work, size, done, failed })
        waitingSize += size
        pump()
      })
    },
  }
}

/** The first works that fit into one batch together; a work is never divided, so that its job has one commit to wait for. */
function takeBatch(waiting: readonly Pending[]): Pending[] {
  let size = 0
  const end = waiting.findIndex((item, at) => {
    size += item.size
    return at > 0 && size > BATCH_EVENTS
  })
  return end < 0 ? [...waiting] : waiting.slice(0, end)
}

async function commit(batch: readonly Pending[], parts: BatcherParts): Promise<void> {
  try {
    await writeOut(
      { events: batch.flatMap(({ events }) => events), rejected: batch.flatMap(({ rejected }) => rejected) },
      parts,
    )
    for (const item of batch) item.done()
  } catch (error) {
    for (const item of batch) item.failed(error)
  }
}

const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000
/** Tries before an error that is not the database's is blamed on the data. */
const UNCLEAR_TRIES = 4

/** Writes everything, whatever it takes. Throws only when the signal aborts. */
async function writeOut(work: Work, parts: BatcherParts): Promise<void> {
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
      const waitMs = Math.min(RETRY_FIRST_MS * 2 ** (tries - 1), RETRY_MAX_MS)
      parts.log.warn(
        { err: error, tries, waitMs },
        'usage cannot be stored now: ingest waits and tries again',
      )
      await delay(waitMs, undefined, { signal: parts.signal })
    }
  }
}

async function writeOnce(
  { events, rejected }: Work,
  { writer, metrics, clock }: BatcherParts,
): Promise<void> {
  const startedMs = clock.nowMs()
  const { inserted, duplicates } = await writer.write({ events: events.map(({ event }) => event), rejected })
  metrics.batchSeconds((clock.nowMs() - startedMs) / 1_000)
  metrics.ingested(inserted)
  metrics.duplicate(duplicates)
}

/** Halves what the database refused until what it refuses stands alone, and rejects that. */
async function writeDivided(work: Work, error: unknown, parts: BatcherParts): Promise<void> {
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
