import { setTimeout as delay } from 'node:timers/promises'
import { LEASE_MS, type LeasedJobs, type LeasingClaim } from '../queue/bulk-claim.ts'
import { BULK_EVENTS, type BulkRun } from './bulk-run.ts'
import type { IntakeParts } from './plain-intake.ts'
import { prepareJob } from './prepare-job.ts'
import { type Work, writeOut } from './write-out.ts'

const NOTHING: LeasedJobs = {
  jobs: [],
  ordinaryAhead: false,
  renew: () => Promise.resolve(),
  complete: () => Promise.resolve(0),
  putBack: () => Promise.resolve(),
}
const COMPLETE_TRIES = 6
const COMPLETE_FIRST_WAIT_MS = 100

/**
 * Jobs that are leased, written, and then removed: a process that dies in between leaves them to BullMQ, which runs them
 * again when their leases end. What was committed by then is found to be a repeat.
 */
export function leaseRun(claim: LeasingClaim, parts: IntakeParts): BulkRun {
  return async (job, limit) => {
    // A queue that is away now gives no further jobs; BullMQ tells of it.
    const leased = limit().jobs > 0 ? await claim.claim(limit()).catch(() => NOTHING) : NOTHING
    const renewal = setInterval(() => void leased.renew().catch(() => {}), LEASE_MS / 3)
    try {
      const nowMs = parts.clock.nowMs()
      const works = [job, ...leased.jobs].map(({ id, data }) => {
        return prepareJob({ id, data, receivedAtMs: nowMs }, nowMs, parts)
      })
      for (const batch of batchesOf(works)) await writeOut(batch, parts)
      await complete(leased, parts)
    } catch (error) {
      await leased.putBack().catch(() => {})
      throw error
    } finally {
      clearInterval(renewal)
    }
    return { taken: leased.jobs.length, ordinaryAhead: leased.ordinaryAhead }
  }
}

/** All of the work, BULK_EVENTS at a time. */
function batchesOf(works: readonly Work[]): Work[] {
  const events = works.flatMap((work) => work.events)
  const rejected = works.flatMap((work) => work.rejected)
  const batches: Work[] = []
  for (let at = 0; at < Math.max(events.length, 1); at += BULK_EVENTS) {
    batches.push({ events: events.slice(at, at + BULK_EVENTS), rejected: at === 0 ? rejected : [] })
  }
  return batches
}

/** The events are stored: when the queue cannot be told, its jobs run again and find that. */
async function complete(leased: LeasedJobs, { log }: IntakeParts): Promise<void> {
  if (leased.jobs.length === 0) return
  for (let tries = 1; ; tries += 1) {
    try {
      await leased.complete()
      return
    } catch (error) {
      if (tries >= COMPLETE_TRIES) {
        log.warn(
          { err: error, jobs: leased.jobs.length },
          'jobs that are stored run again: the queue is away',
        )
        return
      }
      await delay(COMPLETE_FIRST_WAIT_MS * 2 ** (tries - 1))
    }
  }
}
