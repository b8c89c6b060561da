import { LATEST_SCHEMA_VERSION } from 'bullmq'
import { sql, type Kysely } from 'kysely'
import { type ClaimLimit, HARMLESS_OPTIONS, type TransactionClaim } from './bulk-claim.ts'

/** The versions of BullMQ's tables that this file was written for. */
const SCHEMA_VERSIONS = [11]

/**
 * Jobs in bulk from BullMQ's table in PostgreSQL: removed by the transaction that stores their events, so that a crash
 * at any moment leaves them waiting. What differs from BullMQ's own way: no `active` and `completed` events and no
 * BullMQ metrics for these jobs (keyhound counts them itself). Undefined when BullMQ is a version not known here.
 */
export function postgresBulkClaim(queueName: string): TransactionClaim | undefined {
  if (!SCHEMA_VERSIONS.includes(LATEST_SCHEMA_VERSION)) return undefined
  return {
    kind: 'transaction',
    async take(trx, limit) {
      const { rows } = await takeJobs(trx, queueName, limit)
      const jobs = rows.filter((row): row is Row & { id: string } => row.id !== null)
      const { open = false, seen = 0, ordinary = 0 } = rows[0] ?? {}
      // Jobs that were seen and left are locked until the commit: whoever looked meanwhile found nothing and sleeps.
      if (seen > jobs.length) await sql`select pg_notify('bullmq_jobs', ${queueName})`.execute(trx)
      return { jobs, ordinaryAhead: !open || ordinary > 0 }
    },
  }
}

interface Row {
  /** The queue may be drained in bulk. */
  readonly open: boolean
  /** Jobs that were looked at. */
  readonly seen: number
  /** Of these, jobs that are left to BullMQ. */
  readonly ordinary: number
  readonly id: string | null
  readonly data: unknown
}

function takeJobs(trx: Kysely<unknown>, queueName: string, { jobs, bytes }: ClaimLimit) {
  return sql<Row>`
    with gate as materialized (
      select
        not exists (
          select from bullmq.meta
          where queue = ${queueName}
            and (field in ('concurrency', 'max') or (field = 'paused' and value = '1') or (field = 'version' and value not like 'bullmq:6.%'))
        )
        and not exists (
          select from bullmq.rate_limit
          where queue = ${queueName} and expire_at_ms > extract(epoch from clock_timestamp()) * 1000
        )
        and (select max(version) from bullmq.migration) = any(${SCHEMA_VERSIONS}::int[]) as open
    ),
    head as materialized (
      select
        ctid, priority, seq, pg_column_size(data) as bytes,
        priority = 0 and delay_ms = 0 and attempts_made = 0 and attempts_started = 0 and stalled_count = 0
          and dedup_id is null and scheduler_id is null and parent_id is null and deferred_failure is null
          and process_at_ms is null and progress is null
          and opts - ${[...HARMLESS_OPTIONS, 'removeOnComplete']}::text[] = '{}'
          and (
            not opts ? 'removeOnComplete'
            or opts -> 'removeOnComplete' in ('true', '0')
            or opts -> 'removeOnComplete' -> 'count' is not distinct from '0'
          ) as plain
      from bullmq.job
      where queue = ${queueName} and state = 'waiting' and (select open from gate)
      order by priority, seq
      for update skip locked
      limit ${jobs}
    ),
    chosen as materialized (
      select ctid from (
        select ctid, sum(bytes) over (order by priority, seq rows between unbounded preceding and 1 preceding) as before
        from head
        where plain
      ) as sized
      where coalesce(before, 0) < ${bytes}
    ),
    taken as (
      delete from bullmq.job where ctid = any(array(select ctid from chosen))
      returning id, data
    )
    select
      gate.open,
      (select count(*) from head)::int as seen,
      (select count(*) from head where not plain)::int as ordinary,
      taken.id,
      taken.data
    from gate left join taken on true`.execute(trx)
}
