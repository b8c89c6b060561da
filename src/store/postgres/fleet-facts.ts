import { sql } from 'kysely'
import { LIMIT_DETECTORS, RESPONSE_ALERT } from '../../detect/finding.ts'
import { DAY_MS, HOUR_MS } from '../../usage/duration.ts'
import { BUCKET_MS } from '../../usage/rollup.ts'
import { FIRING_MS, type FleetFacts } from '../revocation-store.ts'
import type { Database } from './database.ts'
import { openHalts } from './halts.ts'

/** `last_seen_at` is up to an hour behind. */
const ACTIVE_MS = DAY_MS + HOUR_MS

/** What is true of all keys at `nowMs`: how many there are, how many fire at once, how fresh what is known is. */
export async function fleetFacts(db: Database, nowMs: number): Promise<FleetFacts> {
  const { rows } = await sql<{
    active: number
    info: number
    warning: number
    critical: number
    newest: Date | null
  }>`
    select
      (select count(*) from api_key where last_seen_at >= ${new Date(nowMs - ACTIVE_MS)}) as active,
      firing.info, firing.warning, firing.critical,
      (select max(bucket) from usage_rollup) as newest
    from (
      select
        count(distinct key_id) as info,
        count(distinct key_id) filter (where severity <> 'info') as warning,
        count(distinct key_id) filter (where severity = 'critical') as critical
      from alert
      where opened_at > ${new Date(nowMs - FIRING_MS)}
        -- A limit that many keys reach, such as their age, is no sign of an outage.
        and detector <> all(${[...LIMIT_DETECTORS, RESPONSE_ALERT]}::text[])
    ) as firing`.execute(db)
  const [facts] = rows
  if (facts === undefined) throw new Error('the database did not answer')
  const { active, newest, ...firingKeys } = facts
  return {
    activeKeys: active,
    firingKeys,
    newestUsageAt: newest === null ? undefined : new Date(Math.min(newest.getTime() + BUCKET_MS, nowMs)),
    halts: await openHalts(db),
  }
}
