import { sql } from 'kysely'
import type { KeyCalm } from '../../detect/calm.ts'
import { LEARN_DELAY_MS } from '../../detect/profile.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type { CachedKey } from './cached-key.ts'
import type { Database } from './database.ts'
import { readAttributes } from './key-attributes.ts'

/** A key that a look leaves out, because it is calm. */
export interface CalmKey {
  readonly key: CachedKey
  readonly calm: KeyCalm
}

/** Team and environment of a key that is calm are asked for no more often: other ones show in other settings at the most. */
const ATTRIBUTES_HOLD_MS = MINUTE_MS

/** True when it is time to ask the database whether what is known of a calm key is something else. */
export function mayHaveChanged(key: CachedKey, nowMs: number): boolean {
  return isProfileDue(key, nowMs) || areAttributesOld(key, nowMs)
}

function isProfileDue({ profileDueMs }: CachedKey, nowMs: number): boolean {
  return profileDueMs <= nowMs
}

function areAttributesOld({ attributesAtMs }: CachedKey, nowMs: number): boolean {
  return attributesAtMs <= nowMs - ATTRIBUTES_HOLD_MS
}

/**
 * Of those that may have changed, the keys that may not be left out: another process has taught their profile an hour, or
 * they have got another team or environment.
 */
export async function changedAmong(
  db: Database,
  calm: readonly CalmKey[],
  nowMs: number,
): Promise<CachedKey[]> {
  const due = calm.filter(({ key }) => isProfileDue(key, nowMs))
  const unasked = calm.map(({ key }) => key).filter((key) => areAttributesOld(key, nowMs))
  return [...(await taughtSince(db, due)), ...(await readAttributes(db, unasked, nowMs))]
}

/**
 * From when on any process may teach the profile of a key its next hour. Usage that is older than what is kept here may
 * be to be learnt at any time.
 */
export function profileDueFrom(key: CachedKey, { learnedUntilMs }: KeyCalm, nowMs: number): number {
  const hourMs = bucketStart(nowMs, HOUR_MS)
  if (learnedUntilMs < hourMs - HOUR_MS) return -Infinity
  return key.hasUsageFrom(learnedUntilMs, hourMs - 1) ? hourMs + LEARN_DELAY_MS : Infinity
}

async function taughtSince(db: Database, calm: readonly CalmKey[]): Promise<CachedKey[]> {
  if (calm.length === 0) return []
  const keyIds = calm.map(({ key }) => key.keyId)
  const learnt = calm.map(({ calm: { learnedUntilMs } }) => new Date(learnedUntilMs).toISOString())
  const { rows } = await sql<{ readonly key_id: string }>`
    select p.key_id
    from unnest(${keyIds}::text[], ${learnt}::timestamptz[]) as known (key_id, learned_until)
    join profile as p on p.key_id = known.key_id
    where p.learned_until > known.learned_until`.execute(db)
  const taught = new Set(rows.map((row) => row.key_id))
  return calm.map(({ key }) => key).filter(({ keyId }) => taught.has(keyId))
}
