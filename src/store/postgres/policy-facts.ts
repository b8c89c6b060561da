import { sql, type Selectable } from 'kysely'
import { HOUR_MS } from '../../usage/duration.ts'
import type { FleetFacts, PolicyFacts, Strikes } from '../revocation-store.ts'
import { toAlert } from './alert-row.ts'
import type { Database } from './database.ts'
import { standingOf } from './revocation-row.ts'
import type { AlertTable } from './alert-tables.ts'

export const POLICY = 'policy'

/** What the policy must know to judge one alert. Call it under the alerting lock: caps are counted here. */
export async function policyFacts(
  db: Database,
  {
    row,
    fleet,
    nowMs,
  }: { readonly row: Selectable<AlertTable>; readonly fleet: FleetFacts; readonly nowMs: number },
): Promise<PolicyFacts> {
  const keyId = row.key_id
  const key = await keyFacts(db, keyId)
  const open = await db
    .selectFrom('alert')
    .selectAll()
    .where('key_id', '=', keyId)
    .where('status', '<>', 'resolved')
    .orderBy('opened_at')
    .orderBy('id')
    .execute()
  const firstSeenAt = key?.first_seen_at
  const learntUntil = key?.learned_until ?? undefined
  return {
    alert: toAlert(row),
    openAlerts: open.map(toAlert),
    key: { keyId, teamId: key?.team_id ?? undefined, environment: key?.environment ?? undefined },
    firstSeenAt,
    learntMs:
      firstSeenAt === undefined || learntUntil === undefined
        ? undefined
        : Math.max(0, learntUntil.getTime() - firstSeenAt.getTime()),
    nowMs,
    fleet,
    ...(await countsOf(db, nowMs)),
    standing: (await standingOf(db, keyId))?.state,
    wouldStand: await wouldStand(db, row),
    strikes: await strikesOf(db, keyId),
  }
}

interface KeyRow {
  readonly team_id: string | null
  readonly environment: string | null
  readonly first_seen_at: Date
  readonly learned_until: Date | null
}

async function keyFacts(db: Database, keyId: string): Promise<KeyRow | undefined> {
  return db
    .selectFrom('api_key')
    .leftJoin('profile', 'profile.key_id', 'api_key.key_id')
    .select(['api_key.team_id', 'api_key.environment', 'api_key.first_seen_at', 'profile.learned_until'])
    .where('api_key.key_id', '=', keyId)
    .executeTakeFirst()
}

async function countsOf(
  db: Database,
  nowMs: number,
): Promise<Pick<PolicyFacts, 'revokedLastHour' | 'wouldRevokeLastHour'>> {
  const { rows } = await sql<{ revoked: number; would: number }>`
    select
      -- One that was restored since was a revocation all the same.
      count(*) filter (where state not in ('dry_run', 'refused', 'proposed')) as revoked,
      count(distinct key_id) filter (where state = 'dry_run') as would
    from revocation
    where by_policy and created_at > ${new Date(nowMs - HOUR_MS)}`.execute(db)
  return { revokedLastHour: rows[0]?.revoked ?? 0, wouldRevokeLastHour: rows[0]?.would ?? 0 }
}

async function wouldStand(db: Database, { incident_id, key_id }: Selectable<AlertTable>): Promise<boolean> {
  const row = await db
    .selectFrom('revocation')
    .select('id')
    .where('incident_id', '=', incident_id)
    .where('key_id', '=', key_id)
    .where('state', '=', 'dry_run')
    .executeTakeFirst()
  return row !== undefined
}

/** The memory of the key: how often it was revoked and given back, when last and by whom. */
export async function strikesOf(db: Database, keyId: string): Promise<Strikes | undefined> {
  const rows = await db
    .selectFrom('revocation')
    .select(['updated_at', 'actor'])
    .where('key_id', '=', keyId)
    .where('state', '=', 'restored')
    // A restore of a key that keyhound had not revoked is no strike.
    .where('revoked_at', 'is not', null)
    .orderBy('updated_at', 'desc')
    .execute()
  const [last] = rows
  if (last === undefined) return undefined
  return { count: rows.length, lastRestoredAt: last.updated_at, lastRestoredBy: last.actor }
}
