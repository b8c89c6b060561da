import { sql } from 'kysely'
import type { IncidentTraffic, Share } from '../../alert/notification.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { BUCKET_MS, bucketStart, type UsageTotals } from '../../usage/rollup.ts'
import { sumRollups } from '../../usage/key-usage.ts'
import type { Database } from './database.ts'
import { usageOfKey } from './usage-of-key.ts'

const LEAD_IN_MS = 10 * MINUTE_MS
/** A message is about what happens now; `since` says how far it looks back. */
const REACH_MS = DAY_MS
/** Enough to tell the top address; a busier key must not hold up its own alert. */
const ADDRESSES_READ_MAX = 100_000

/**
 * What the traffic of a key looks like in an incident, from ten minutes before its first alert (a day back at most) until
 * `untilMs`. Counts come from the rollups; only the address needs the raw events.
 */
export async function incidentTraffic(
  db: Database,
  keyId: string,
  { firstAlertMs, untilMs }: { readonly firstAlertMs: number; readonly untilMs: number },
): Promise<IncidentTraffic> {
  const sinceMs = bucketStart(Math.max(firstAlertMs - LEAD_IN_MS, untilMs - REACH_MS), BUCKET_MS)
  const usage = await usageOfKey(db, keyId, { fromMs: sinceMs, toMs: untilMs })
  const totals = sumRollups(usage)
  const costNanoUsd = hasKnownCost(totals) ? totals.costNanoUsd : undefined
  return {
    since: new Date(sinceMs),
    requests: totals.requests,
    costNanoUsd,
    costNanoUsdPerHour:
      costNanoUsd === undefined
        ? undefined
        : Math.round((costNanoUsd * HOUR_MS) / Math.max(untilMs - sinceMs, BUCKET_MS)),
    topAddress: await topAddress(db, keyId, { sinceMs, untilMs }),
    topCountry: top(usage.map(({ country, requests }) => ({ value: country, requests }))),
    topModel: top(usage.map(({ model, requests }) => ({ value: model, requests }))),
  }
}

function hasKnownCost({ requests, refused, unpriced, costNanoUsd }: UsageTotals): boolean {
  return costNanoUsd > 0 || requests > refused + unpriced
}

function top(parts: readonly { value: string; requests: number }[]): Share | undefined {
  const byValue = new Map<string, number>()
  let total = 0
  for (const { value, requests } of parts) {
    total += requests
    // An unknown place is no place, but its requests count.
    if (value !== '') byValue.set(value, (byValue.get(value) ?? 0) + requests)
  }
  const [first] = [...byValue].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return first === undefined ? undefined : { value: first[0], share: first[1] / total }
}

async function topAddress(
  db: Database,
  keyId: string,
  { sinceMs, untilMs }: { sinceMs: number; untilMs: number },
): Promise<Share | undefined> {
  const { rows } = await sql<{ value: string; requests: number }>`
    select coalesce(ip, '') as value, count(*) as requests
    from (
      select ip
      from usage_event
      where key_id = ${keyId} and ts >= ${new Date(sinceMs)} and ts <= ${new Date(untilMs)}
      limit ${sql.lit(ADDRESSES_READ_MAX)}
    ) as event
    group by 1`.execute(db)
  return top(rows)
}
