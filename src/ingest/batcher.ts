import { sizeOf, type Work, writeOut, type WriteParts } from './write-out.ts'

export interface Batcher {
  /** Resolves once all of the work is committed. Rejects with the signal's reason when that aborts first: then write it again. */
  write(work: Work): Promise<void>
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
export function createBatcher(parts: WriteParts): Batcher {
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
      const size = sizeOf(work)
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

async function commit(batch: readonly Pending[], parts: WriteParts): Promise<void> {
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
