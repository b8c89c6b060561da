import { createHash } from 'node:crypto'
import type { RejectedEvent } from '../usage-store.ts'
import type { Database } from './database.ts'

const PAYLOAD_LENGTH_MAX = 64 * 1024

/**
 * Keeps refused events with their reasons. The same event of the same job again changes nothing. In the order of the
 * primary key: two transactions that bring the same rows wait for one another, and never each for the other.
 */
export async function insertRejected(db: Database, rejected: readonly RejectedEvent[]): Promise<void> {
  if (rejected.length === 0) return
  await db
    .insertInto('rejected_event')
    .values(rejected.map(toRow).toSorted(byKey))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

function byKey(a: RejectedRow, b: RejectedRow): number {
  const order = (one: string | number, other: string | number): number =>
    one < other ? -1 : one > other ? 1 : 0
  return order(a.job_id, b.job_id) || order(a.item_index, b.item_index) || order(a.digest, b.digest)
}

type RejectedRow = ReturnType<typeof toRow>

function toRow({ jobId, index, receivedAt, reason, payload }: RejectedEvent) {
  // JSON escapes what text in Postgres refuses: NUL and lone surrogates.
  const json = payload === undefined ? null : JSON.stringify(payload).slice(0, PAYLOAD_LENGTH_MAX)
  const plainReason = storable(reason)
  return {
    job_id: storable(jobId),
    item_index: index,
    digest: createHash('sha256')
      .update(JSON.stringify([plainReason, json]))
      .digest('base64url')
      .slice(0, 22),
    received_at: receivedAt,
    reason: plainReason,
    payload: json,
  }
}

function storable(text: string): string {
  return text.replaceAll('\0', '\u{FFFD}').toWellFormed()
}
