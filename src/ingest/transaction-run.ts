import type { ClaimedJob, TakenJobs, TransactionClaim } from '../queue/bulk-claim.ts'
import type { Job } from '../queue/queues.ts'
import { type BulkRun, ClaimRefusedError } from './bulk-run.ts'
import { isDataRefusal } from './data-refusal.ts'
import type { IntakeParts } from './plain-intake.ts'
import { type PrepareParts, prepareJob } from './prepare-job.ts'
import { Tally } from './tally.ts'
import { UNCLEAR_TRIES, waitForStore, type Work, writeOut } from './write-out.ts'

/**
 * Jobs that are removed by the transaction that stores their events: one commit, and nothing to do again after a crash.
 * When the database refuses an event, the same is tried with half as many jobs, down to the one that BullMQ handed out,
 * which is then written the plain way: there the event that is refused is found.
 */
export function transactionRun(claim: TransactionClaim, parts: IntakeParts): BulkRun {
  const { writer } = parts
  const { writeTaken } = writer
  return async (job, limit, halve) => {
    if (writeTaken === undefined) throw new ClaimRefusedError('usage is not stored where the queue is')
    for (let tries = 1; ; tries += 1) {
      parts.signal.throwIfAborted()
      const allowed = limit()
      if (allowed.jobs < 1) {
        await writeOut(prepared([job], parts), parts)
        return { taken: 0, ordinaryAhead: false }
      }
      try {
        return await writeWith(job, (trx) => claim.take(trx, allowed), { ...parts, writeTaken })
      } catch (error) {
        if (isMissingOrForbidden(error))
          throw new ClaimRefusedError('the queue’s tables cannot be used', { cause: error })
        if (isDataRefusal(error, tries >= UNCLEAR_TRIES)) halve()
        else await waitForStore(error, tries, parts)
      }
    }
  }
}

type TakingParts = IntakeParts & { readonly writeTaken: NonNullable<IntakeParts['writer']['writeTaken']> }

async function writeWith(
  job: Job,
  take: (trx: Parameters<TransactionClaim['take']>[0]) => Promise<TakenJobs>,
  parts: TakingParts,
): Promise<{ taken: number; ordinaryAhead: boolean }> {
  const startedMs = parts.clock.nowMs()
  let taken: TakenJobs = { jobs: [], ordinaryAhead: false }
  // What is counted while reading jobs counts only once they are committed: until then they may be read again.
  let tally = new Tally()
  const { inserted, duplicates } = await parts.writeTaken(async (trx) => {
    tally = new Tally()
    taken = await take(trx)
    const { events, rejected } = prepared([job, ...taken.jobs], { ...parts, metrics: tally })
    return { events: events.map(({ event }) => event), rejected }
  })
  tally.countInto(parts.metrics)
  parts.metrics.batchSeconds((parts.clock.nowMs() - startedMs) / 1_000)
  parts.metrics.ingested(inserted)
  parts.metrics.duplicate(duplicates)
  return { taken: taken.jobs.length, ordinaryAhead: taken.ordinaryAhead }
}

function prepared(jobs: readonly ClaimedJob[], parts: PrepareParts & Pick<IntakeParts, 'clock'>): Work {
  const nowMs = parts.clock.nowMs()
  const works = jobs.map(({ id, data }) => prepareJob({ id, data, receivedAtMs: nowMs }, nowMs, parts))
  return {
    events: works.flatMap(({ events }) => events),
    rejected: works.flatMap(({ rejected }) => rejected),
  }
}

/** SQLSTATE class 42 (no such table or column, no privilege): the claim does not fit this database. */
function isMissingOrForbidden(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('42')
  )
}
