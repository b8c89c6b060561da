import { sql, type Selectable } from 'kysely'
import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import { BUCKET_MS } from '../../usage/rollup.ts'
import type { Revocation, WatchedKey } from '../revocation-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import { readRevocations } from './revocation-row.ts'
import { tellIncident } from './tell-incident.ts'
import type { RevocationTable } from './revocation-tables.ts'

/** What is confirmed is watched on, as far back as late events come; what is not, a day back at most. */
const CONFIRMED_REACH_MS = HOUR_MS
const REACH_MS = DAY_MS
const WATCH = 'keyhound'
/** What gateways answer to a key that they do not take. */
const TURNED_AWAY = [401, 403]

interface WatchRow extends Selectable<RevocationTable> {
  successes: number
  first_success: Date | null
  last_success: Date | null
  refusals: number
  newest: Date | null
}

/** Revocations that were done and whose grace period is over, with what their keys did since. */
export async function watchedKeys(
  db: Database,
  { graceMs, nowMs }: { readonly graceMs: number; readonly nowMs: number },
): Promise<WatchedKey[]> {
  const { rows } = await sql<WatchRow>`
    select r.*, used.*, others.newest
    from revocation as r
    cross join lateral (
      select greatest(
        r.effective_from + ${graceMs}::float8 * interval '1 millisecond',
        case r.state when 'confirmed' then ${new Date(nowMs - CONFIRMED_REACH_MS)}::timestamptz
          else ${new Date(nowMs - REACH_MS)}::timestamptz end
      ) as since
    ) as span
    cross join lateral (
      select
        count(*) filter (where status_code < 400) as successes,
        min(ts) filter (where status_code < 400) as first_success,
        max(ts) filter (where status_code < 400) as last_success,
        count(*) filter (where status_code = any(${TURNED_AWAY}::int[])) as refusals
      from usage_event
      where key_id = r.key_id and ts > span.since and ts <= ${new Date(nowMs)}
    ) as used
    left join lateral (
      select bucket + ${BUCKET_MS}::float8 * interval '1 millisecond' as newest
      from usage_rollup
      where key_id <> r.key_id and bucket >= r.effective_from
      order by bucket desc
      limit 1
    ) as others on r.state = 'revoked'
    where r.state in ('revoked', 'confirmed') and r.calling is null and r.means <> 'throttle'
      and r.effective_from <= ${new Date(nowMs - graceMs)}
      -- Most confirmed keys are never seen again. last_seen_at is up to an hour behind.
      and (r.state = 'revoked' or exists (
        select from api_key
        where api_key.key_id = r.key_id and last_seen_at >= ${new Date(nowMs - CONFIRMED_REACH_MS - 2 * HOUR_MS)}
      ))
    order by r.effective_from, r.id`.execute(db)
  const revocations = await readRevocations(db, rows)
  return rows.flatMap((row, index) => {
    const revocation = revocations[index]
    if (revocation === undefined) return []
    return {
      revocation,
      effectiveFrom: row.effective_from ?? row.updated_at,
      successes: row.successes,
      firstSuccessAt: row.first_success ?? undefined,
      lastSuccessAt: row.last_success ?? undefined,
      refusals: row.refusals,
      newestUsageAt: row.newest ?? undefined,
    }
  })
}

/** The key was silent, or turned away, for long enough: the revocation holds. Told once. */
export async function confirmRevocation(
  db: Database,
  id: string,
  { proof, nowMs }: { readonly proof: string; readonly nowMs: number },
): Promise<Revocation | undefined> {
  const now = new Date(nowMs)
  return move(db, id, {
    from: ['revoked'],
    now,
    set: { state: 'confirmed', confirmed_at: now },
    action: 'revocation.confirmed',
    detail: { proof },
    tells: 'key.revocation_confirmed',
  })
}

/**
 * The key was still used: the revocation is called again as a new round, with a request id of its own, for a gateway that
 * knows the old one would take the call for a repeat.
 */
export async function callAgain(
  db: Database,
  id: string,
  { at, stillUsedAt, nowMs }: { readonly at: Date; readonly stillUsedAt: Date; readonly nowMs: number },
): Promise<Revocation | undefined> {
  return move(db, id, {
    from: ['revoked', 'confirmed'],
    now: new Date(nowMs),
    set: { state: 'pending', confirmed_at: null, still_used_at: stillUsedAt, due_at: at, attempts: 0 },
    nextRound: true,
    action: 'revocation.not_effective',
    detail: { still_used_at: stillUsedAt.toISOString() },
  })
}

async function move(
  db: Database,
  id: string,
  {
    from,
    now,
    set,
    nextRound = false,
    action,
    detail,
    tells,
  }: {
    readonly from: readonly ('revoked' | 'confirmed')[]
    readonly now: Date
    readonly set: Partial<Selectable<RevocationTable>>
    readonly nextRound?: boolean
    readonly action: string
    readonly detail: Readonly<Record<string, string>>
    readonly tells?: 'key.revocation_confirmed'
  },
): Promise<Revocation | undefined> {
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const row = await trx
      .updateTable('revocation')
      .set((ref) => ({
        ...set,
        updated_at: now,
        ...(nextRound ? { round: ref('round', '+', 1) } : {}),
      }))
      .where('id', '=', id)
      .where('state', 'in', [...from])
      .where('calling', 'is', null)
      .returningAll()
      .executeTakeFirst()
    // Restored, or moved on by another replica.
    if (row === undefined) return undefined
    await appendAudit(trx, [{ at: now, actor: WATCH, action, keyId: row.key_id, subject: id, detail }])
    if (tells !== undefined) await tellIncident(trx, { revocation: row, type: tells, now, to: 'all' })
    return (await readRevocations(trx, [row]))[0]
  })
}
