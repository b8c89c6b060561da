import type { EnrichEvent } from '../enrich/enrich-event.ts'
import type { RejectedEvent } from '../store/usage-store.ts'
import type { UsageEvent } from '../usage/event.ts'
import { futureError } from '../usage/future-event.ts'
import { readJob } from '../usage/ingest-job.ts'
import { parseUsageEvent } from '../usage/parse-event.ts'
import { safePayload } from '../usage/safe-payload.ts'
import { hashEventSecrets, hashSecretsIn } from '../usage/secret-key-id.ts'
import type { IngestMetrics, RejectionClass } from './metrics.ts'
import type { IngestedEvent, Work } from './write-out.ts'

/** A queue job as ingest sees it. */
export interface ReceivedJob {
  readonly id: string
  readonly data: unknown
  readonly receivedAtMs: number
}

export interface PrepareParts {
  readonly enrich: EnrichEvent
  /** Key of the hash that takes the place of secrets. */
  readonly hashKey: Uint8Array
  readonly metrics: Pick<IngestMetrics, 'rejected' | 'secretReplaced' | 'unpriced'>
}

/** Checks and enriches what a job carries. Never throws: what cannot be used becomes a rejected row with the reason. */
export function prepareJob(job: ReceivedJob, nowMs: number, parts: PrepareParts): Work {
  const { metrics, hashKey } = parts
  const rejected: RejectedEvent[] = []
  const reject = (index: number, error: string, payload: unknown, why: RejectionClass): void => {
    metrics.rejected(why, 1)
    rejected.push(rejectedEvent(job, index, error, safePayload(payload, hashKey), hashKey))
  }
  const content = readJob(job.data)
  if (!content.ok) {
    reject(0, content.reason, job.data, 'job')
    return { events: [], rejected }
  }
  for (const { index, error, payload } of content.refused) reject(index, error, payload, 'invalid')
  const events: IngestedEvent[] = []
  for (const [index, raw] of content.events.entries()) {
    const parsed = parseUsageEvent(raw)
    if (!parsed.ok) {
      reject(index, parsed.error, raw, 'invalid')
      continue
    }
    const tooEarly = futureError(parsed.event, nowMs)
    if (tooEarly !== undefined) {
      reject(index, tooEarly, raw, 'future')
      continue
    }
    events.push({
      event: enriched(parsed.event, parts),
      reject: (reason) => rejectedEvent(job, index, reason, safePayload(raw, hashKey), hashKey),
    })
  }
  return { events, rejected }
}

function enriched(event: UsageEvent, { enrich, hashKey, metrics }: PrepareParts): IngestedEvent['event'] {
  const { event: safe, replaced } = hashEventSecrets(event, hashKey)
  if (replaced > 0) metrics.secretReplaced(replaced)
  const result = enrich(safe)
  if (result.costNanoUsd === undefined && result.statusCode < 400) metrics.unpriced(1)
  return result
}

function rejectedEvent(
  { id, receivedAtMs }: ReceivedJob,
  index: number,
  reason: string,
  payload: unknown,
  hashKey: Uint8Array,
): RejectedEvent {
  // Reasons can come from outside (a database's message, a producer's `refused`): Postgres takes no NUL, people no novels.
  const shown = hashSecretsIn(reason.slice(0, REASON_MAX), hashKey).toWellFormed().replaceAll('\0', '�')
  return { jobId: id, index, receivedAt: new Date(receivedAtMs), reason: shown, payload }
}

const REASON_MAX = 1_000
