import { sql, type RawBuilder, type Selectable } from 'kysely'
import { SECOND_MS } from '../../usage/duration.ts'
import type { DeliveryStore, Pace } from '../delivery-store.ts'
import type { Database } from './database.ts'
import { handOver, toHandOver } from './hand-over.ts'
import { readNotification } from './notification-source.ts'
import type { ChannelStateTable, DeliveryTable } from './delivery-tables.ts'

/**
 * A message waits this long, at most, for the revocation policy to judge its alerts. The policy takes a second; should
 * nobody run it, people are told all the same.
 */
const DECISION_WAIT_MS = 15 * SECOND_MS

type Claim = Parameters<DeliveryStore['claimDue']>[0]

/** The outbox. */
export function createDeliveryStore(db: Database): DeliveryStore {
  return {
    async claimDue(claim) {
      const { state, rows } = await claimTurn(db, claim)
      return Promise.all(
        rows.map(async (row) => ({
          id: row.id,
          channel: row.channel,
          type: row.type,
          attempts: row.attempts - 1,
          createdAt: row.created_at,
          notification: await readNotification(db, row, claim.nowMs),
          ref: row.ref ?? undefined,
          refused: state?.refused === true ? refusalOf(state) : undefined,
        })),
      )
    },
    async renew(ids, untilMs) {
      await db
        .updateTable('delivery')
        .set({ locked_until: new Date(untilMs) })
        .where('id', 'in', [...ids])
        .where('state', '=', 'pending')
        .where('locked_until', 'is not', null)
        .execute()
    },
    async settle(id, outcome, nowMs) {
      const now = new Date(nowMs)
      await db
        .updateTable('delivery')
        .set(
          outcome.kind === 'retry'
            ? { due_at: outcome.at, locked_until: null, last_error: outcome.error }
            : {
                state: outcome.kind,
                settled_at: now,
                locked_until: null,
                ...(outcome.kind === 'delivered'
                  ? { receipt: outcome.receipt, message_ref: outcome.ref ?? null }
                  : { last_error: outcome.error }),
              },
        )
        .where('id', '=', id)
        // A message that arrived stays delivered, whatever a slower sender says of it.
        .where('state', '=', 'pending')
        .execute()
    },
    async nextDueMs(except = []) {
      const { rows } = await sql<{ due_at: Date | null }>`
        select min(greatest(d.due_at, d.locked_until, s.free_at)) as due_at
        from delivery as d
        left join channel_state as s on s.channel = d.channel
        where d.state = 'pending' and d.channel <> all(${[...except]}::text[])`.execute(db)
      return rows[0]?.due_at?.getTime()
    },
    toHandOver: (search) => toHandOver(db, search),
    handOver: (id, channels, nowMs) => handOver(db, { id, channels, nowMs }),
  }
}

function refusalOf({ broken_at: brokenAt, last_error: error }: Selectable<ChannelStateTable>): string {
  return `the channel is broken since ${brokenAt?.toISOString() ?? 'an unknown time'}: ${error ?? 'unknown'}`
}

type ClaimedRow = Selectable<DeliveryTable> & { readonly ref: string | null }
interface Turn {
  readonly state?: Selectable<ChannelStateTable>
  readonly rows: readonly ClaimedRow[]
}

/** The first channel, by its oldest message, that is free now. Its row is the lock that all replicas share. */
async function claimTurn(db: Database, claim: Claim): Promise<Turn> {
  return db.transaction().execute(async (trx) => {
    for (const channel of await dueChannels(trx, claim)) {
      const state = await lockChannel(trx, channel)
      if (state.free_at !== null && state.free_at.getTime() > claim.nowMs) continue
      const pace = claim.pace?.(channel)
      const rows = await claimRows(trx, channel, { claim, pace })
      if (rows.length === 0) continue
      if (pace !== undefined && pace.intervalMs > 0) {
        await trx
          .updateTable('channel_state')
          .set({ free_at: new Date(claim.nowMs + pace.intervalMs) })
          .where('channel', '=', channel)
          .execute()
      }
      return { state, rows }
    }
    return { rows: [] }
  })
}

/** Coarse, because it looks at all that waits: what is held back is left out when a channel's turn has come. */
async function dueChannels(db: Database, { nowMs, except = [] }: Claim): Promise<string[]> {
  const now = new Date(nowMs)
  const { rows } = await sql<{ channel: string }>`
    select d.channel
    from delivery as d
    left join channel_state as s on s.channel = d.channel
    where d.state = 'pending' and d.due_at <= ${now} and (d.locked_until is null or d.locked_until <= ${now})
      and d.channel <> all(${[...except]}::text[])
      and (s.free_at is null or s.free_at <= ${now})
    group by d.channel
    order by min(d.due_at), d.channel`.execute(db)
  return rows.map((row) => row.channel)
}

async function lockChannel(db: Database, channel: string): Promise<Selectable<ChannelStateTable>> {
  const find = db.selectFrom('channel_state').selectAll().where('channel', '=', channel).forUpdate()
  const known = await find.executeTakeFirst()
  if (known !== undefined) return known
  await db
    .insertInto('channel_state')
    .values({ channel })
    .onConflict((conflict) => conflict.column('channel').doNothing())
    .execute()
  return find.executeTakeFirstOrThrow()
}

/**
 * One message, or, when enough of them wait on a channel that tells many together, as many as it takes. What changes a
 * message that is there already (`ref`) goes alone.
 */
async function claimRows(
  db: Database,
  channel: string,
  { claim: { nowMs, limit, leaseMs }, pace }: { readonly claim: Claim; readonly pace: Pace | undefined },
): Promise<ClaimedRow[]> {
  const { from, max } = pace?.together ?? (pace === undefined ? { from: 1, max: limit } : { from: 1, max: 1 })
  const { rows } = await sql<ClaimedRow>`
    with due as materialized (
      select d.id, d.due_at, (
        select before.message_ref
        from delivery as before
        where before.incident_id = d.incident_id and before.channel = d.channel and before.message_ref is not null
        order by before.settled_at desc
        limit 1
      ) as ref
      from delivery as d
      where ${isDue(nowMs)} and d.channel = ${channel}
      order by d.due_at, d.id
      limit ${max}
      for update of d skip locked
    ),
    placed as (
      select id, ref, row_number() over (order by due_at, id) as place,
        first_value(ref) over (order by due_at, id) as first_ref,
        count(*) filter (where ref is null) over () as alone
      from due
    )
    update delivery as d
    -- Counted at the claim, so that a message that kills its sender is given up one day.
    set locked_until = ${new Date(nowMs + leaseMs)}, attempts = d.attempts + 1
    from placed
    where d.id = placed.id
      and (${pace?.together === undefined}
        or place = 1
        or (first_ref is null and ref is null and alone >= ${from}))
    returning d.*, placed.ref`.execute(db)
  return rows.toSorted((a, b) => a.due_at.getTime() - b.due_at.getTime() || (a.id < b.id ? -1 : 1))
}

/**
 * A condition on `delivery as d`. Held back are the messages of alerts that the policy has not judged, and whatever was
 * made after a message of the same incident on the same channel that waits or is being sent.
 */
function isDue(nowMs: number): RawBuilder<boolean> {
  const now = new Date(nowMs)
  return sql<boolean>`(
    d.state = 'pending' and d.due_at <= ${now} and (d.locked_until is null or d.locked_until <= ${now})
    and not (
      d.revocation_id is null
      and d.due_at > ${new Date(nowMs - DECISION_WAIT_MS)}
      and exists (
        select from alert as a
        where a.incident_id = d.incident_id and a.status <> 'resolved'
          and a.decided_severity is distinct from a.severity
      )
    )
    and not exists (
      select from delivery as before
      where before.incident_id = d.incident_id and before.channel = d.channel and before.state = 'pending'
        and (before.created_at, before.revocation_id is not null, before.number, before.id)
          < (d.created_at, d.revocation_id is not null, d.number, d.id)
    )
  )`
}
