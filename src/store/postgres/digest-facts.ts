import { sql } from 'kysely'
import type { Verdict } from '../../alert/alert.ts'
import type { DetectorName, Severity } from '../../detect/finding.ts'
import type { ChannelFacts, DigestFacts, UsageFacts } from '../digest-facts.ts'
import type { RevocationStore } from '../revocation-store.ts'
import type { SilenceStore } from '../silence-store.ts'
import type { Database } from './database.ts'

const KEYS_NAMED = 5
const REASONS_NAMED = 3

/** Gathers what happened from `from` to `to`, which is now. */
export async function readDigestFacts(
  db: Database,
  stores: {
    readonly revocations: Pick<RevocationStore, 'ledger'>
    readonly silences: Pick<SilenceStore, 'list'>
  },
  { from, to }: { readonly from: Date; readonly to: Date },
): Promise<DigestFacts> {
  const before = new Date(from.getTime() - (to.getTime() - from.getTime()))
  const silences = await stores.silences.list({ nowMs: to.getTime() })
  return {
    from,
    to,
    // A sum over all usage of a large fleet may take longer than a statement may: the rest of the digest is worth having.
    usage: await usageOf(db, from, to).catch(() => undefined),
    alerts: await alertsOf(db, from, to),
    alertsBefore: (await alertsOf(db, before, from)).reduce((sum, { count }) => sum + count, 0),
    ...(await keysOf(db, from, to)),
    verdicts: await verdictsOf(db, from, to),
    open: await openAlerts(db),
    silences: silences.filter(({ use }) => use.state === 'active'),
    channels: await channelsOf(db, from, to),
    ledger: await stores.revocations.ledger({ sinceMs: from.getTime() }),
    rejected: await rejectedOf(db, from, to),
    problems: await problemsOf(db, from, to),
  }
}

async function usageOf(db: Database, from: Date, to: Date): Promise<UsageFacts | undefined> {
  const { rows } = await sql<{
    requests: number
    cost: number
    successful: number
    unpriced: number
    keys: number
  }>`
    select
      coalesce(sum(requests), 0) as requests,
      coalesce(sum(cost_nano_usd), 0) as cost,
      coalesce(sum(requests - refused), 0) as successful,
      coalesce(sum(unpriced), 0) as unpriced,
      count(distinct key_id) as keys
    from usage_rollup
    where bucket >= ${from} and bucket < ${to}`.execute(db)
  const [row] = rows
  if (row === undefined) return undefined
  const { requests, cost: costNanoUsd, successful, unpriced, keys } = row
  return { requests, costNanoUsd, successful, unpriced, keys }
}

async function alertsOf(db: Database, from: Date, to: Date): Promise<DigestFacts['alerts']> {
  const { rows } = await sql<{ detector: DetectorName; severity: Severity; count: number }>`
    select detector, severity, count(*) as count
    from alert
    where opened_at >= ${from} and opened_at < ${to}
    group by detector, severity
    order by detector, severity`.execute(db)
  return rows
}

async function keysOf(
  db: Database,
  from: Date,
  to: Date,
): Promise<Pick<DigestFacts, 'keys' | 'keysWithAlerts'>> {
  const { rows } = await sql<{ key_id: string; alerts: number; detector: DetectorName; all_keys: number }>`
    with counted as (
      select key_id, detector, count(*) as alerts
      from alert
      where opened_at >= ${from} and opened_at < ${to}
      group by key_id, detector
    )
    select
      key_id,
      sum(alerts) as alerts,
      (array_agg(detector order by alerts desc, detector))[1] as detector,
      count(*) over () as all_keys
    from counted
    group by key_id
    order by alerts desc, key_id
    limit ${KEYS_NAMED}`.execute(db)
  return {
    keys: rows.map(({ key_id: keyId, alerts, detector }) => ({ keyId, alerts, detector })),
    keysWithAlerts: rows[0]?.all_keys ?? 0,
  }
}

async function verdictsOf(db: Database, from: Date, to: Date): Promise<DigestFacts['verdicts']> {
  const { rows } = await sql<{ detector: DetectorName; verdict: Verdict; count: number }>`
    select detector, verdict, count(*) as count
    from alert
    where opened_at >= ${from} and opened_at < ${to} and verdict is not null
    group by detector, verdict
    order by detector, verdict`.execute(db)
  return rows
}

async function openAlerts(db: Database): Promise<number> {
  const { open } = await db
    .selectFrom('alert')
    .select((select) => select.fn.countAll<number>().as('open'))
    .where('status', '<>', 'resolved')
    .executeTakeFirstOrThrow()
  return open
}

async function channelsOf(db: Database, from: Date, to: Date): Promise<ChannelFacts[]> {
  const { rows } = await sql<{
    channel: string
    delivered: number
    failed: number
    waiting: number
    broken_at: Date | null
    last_error: string | null
  }>`
    select
      coalesce(d.channel, c.channel) as channel,
      count(*) filter (where d.state = 'delivered') as delivered,
      count(*) filter (where d.state = 'failed') as failed,
      count(*) filter (where d.state = 'pending') as waiting,
      min(c.broken_at) as broken_at,
      min(c.last_error) filter (where c.broken_at is not null) as last_error
    from (select channel, state from delivery where created_at < ${to} and (state = 'pending' or settled_at >= ${from})) as d
    full join (select * from channel_state where broken_at is not null) as c on c.channel = d.channel
    group by 1
    order by 1`.execute(db)
  return rows.map((row) => ({
    channel: row.channel,
    delivered: row.delivered,
    failed: row.failed,
    waiting: row.waiting,
    brokenSince: row.broken_at ?? undefined,
    lastError: row.last_error ?? undefined,
  }))
}

async function rejectedOf(db: Database, from: Date, to: Date): Promise<DigestFacts['rejected']> {
  const { rows } = await sql<{ reason: string; count: number }>`
    select reason, count(*) as count
    from rejected_event
    where received_at >= ${from} and received_at < ${to}
    group by reason
    order by count desc, reason`.execute(db)
  const others = rows.slice(REASONS_NAMED).reduce((sum, { count }) => sum + count, 0)
  return [
    ...rows.slice(0, REASONS_NAMED),
    ...(others === 0 ? [] : [{ reason: 'other reasons', count: others }]),
  ]
}

async function problemsOf(db: Database, from: Date, to: Date): Promise<DigestFacts['problems']> {
  const { rows } = await sql<{ topic: string; count: number }>`
    select topic, count(*) as count
    from self_alert
    where opened_at < ${to} and (closed_at is null or closed_at >= ${from})
    group by topic
    order by count desc, topic`.execute(db)
  return rows
}
