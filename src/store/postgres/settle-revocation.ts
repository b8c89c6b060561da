import { sql, type Selectable } from 'kysely'
import type { NotificationType } from '../../alert/notification.ts'
import type { Revocation, RevocationOutcome, RevocationState } from '../revocation-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import { readRevocations } from './revocation-row.ts'
import { tellIncident } from './tell-incident.ts'
import type { RevocationTable } from './revocation-tables.ts'

type Row = Selectable<RevocationTable>
type Ended = Exclude<RevocationOutcome, { kind: 'retry' }>

/**
 * Writes what became of a call: the state of revocation and key, the audit, and what the incident's channels are told. A
 * restore that failed for good leaves the key revoked, with the error; there is no message for it, for the person
 * who asked sees it. When an operator asked for the opposite during the call, his wish stands and is carried out next.
 * Resolves with the revocation as it is then; undefined when it had been settled already.
 */
export async function settleRevocation(
  db: Database,
  id: string,
  { outcome, nowMs }: { readonly outcome: RevocationOutcome; readonly nowMs: number },
): Promise<Revocation | undefined> {
  const now = new Date(nowMs)
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const row = await trx.selectFrom('revocation').selectAll().where('id', '=', id).executeTakeFirst()
    // Settled already: a claim that outlived its lease was carried out twice, with the same request id.
    if (row?.calling == null) return undefined
    const overruled = row.state !== row.calling
    const after =
      outcome.kind === 'retry'
        ? await write(trx, id, {
            due_at: overruled ? now : outcome.at,
            last_error: outcome.error,
            locked_until: null,
            calling: null,
          })
        : await settle(trx, { row, calling: row.calling, outcome, overruled, now })
    return (await readRevocations(trx, [after]))[0]
  })
}

async function settle(
  db: Database,
  {
    row,
    calling,
    outcome,
    overruled,
    now,
  }: {
    readonly row: Row
    readonly calling: NonNullable<Row['calling']>
    readonly outcome: Ended
    readonly overruled: boolean
    readonly now: Date
  },
): Promise<Row> {
  const result = resultOf(row, calling, outcome)
  const done = outcome.kind === 'done'
  const after = await write(db, row.id, {
    ...(overruled ? { due_at: now } : { state: result.state, updated_at: now }),
    ...(done ? { receipt: outcome.receipt, last_error: null } : { last_error: outcome.error }),
    ...(done && calling === 'pending' ? revokedColumns(row, outcome, now) : {}),
    ...(outcome.kind === 'withdrawn' ? { halt: outcome.halt ?? null } : {}),
    locked_until: null,
    calling: null,
  })
  if (result.key !== undefined) {
    await setKeyState(db, { keyId: row.key_id, state: result.key, thaw: result.state === 'restored', now })
  }
  await appendAudit(db, [
    {
      at: now,
      actor: row.actor,
      action: result.action,
      keyId: row.key_id,
      subject: row.id,
      detail: done ? { receipt: outcome.receipt } : { error: outcome.error },
    },
  ])
  if (result.tells !== undefined)
    await tellIncident(db, { revocation: after, type: result.tells, now, to: 'all' })
  return after
}

function revokedColumns(row: Row, { means, restoreAt }: Extract<Ended, { kind: 'done' }>, now: Date): Change {
  return {
    means: means ?? 'disable',
    revoked_at: row.revoked_at ?? now,
    effective_from: now,
    // A person's wish for a time stands; else what the configuration says.
    restore_at: row.restore_at ?? restoreAt ?? null,
  }
}

interface Result {
  readonly state: RevocationState
  /** What the key is from now on; undefined: as it was. */
  readonly key: 'active' | 'revoked' | undefined
  readonly action: string
  readonly tells: NotificationType | undefined
}

function resultOf(row: Row, calling: 'pending' | 'restoring', outcome: Ended): Result {
  if (calling === 'restoring') {
    return outcome.kind === 'done'
      ? { state: 'restored', key: 'active', action: 'key.restored', tells: 'key.restored' }
      : { state: 'revoked', key: undefined, action: 'key.restore_failed', tells: undefined }
  }
  switch (outcome.kind) {
    case 'done':
      // A key that was only slowed down works, and goes on being judged.
      return {
        state: 'revoked',
        key: outcome.means === 'throttle' ? undefined : 'revoked',
        action: 'key.revoked',
        tells: 'key.revoked',
      }
    case 'failed':
      return {
        state: 'failed',
        // In a later round it was thought to be revoked, and is in use.
        key: row.round > 1 ? 'active' : undefined,
        action: 'key.revocation_failed',
        tells: 'key.revocation_failed',
      }
    case 'withdrawn':
      return { state: 'refused', key: undefined, action: 'revocation.withdrawn', tells: undefined }
    default:
      return outcome satisfies never
  }
}

type Change = Partial<
  Pick<
    Row,
    | 'state'
    | 'updated_at'
    | 'due_at'
    | 'locked_until'
    | 'calling'
    | 'receipt'
    | 'last_error'
    | 'means'
    | 'revoked_at'
    | 'effective_from'
    | 'restore_at'
    | 'halt'
  >
>

async function write(db: Database, id: string, change: Change): Promise<Row> {
  return db
    .updateTable('revocation')
    .set(change)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/**
 * An operator may revoke a key that has never been used. `state_since` is the port of the engine: refusals of a revoked
 * key are no news from then on.
 */
async function setKeyState(
  db: Database,
  {
    keyId,
    state,
    thaw,
    now,
  }: {
    readonly keyId: string
    readonly state: 'active' | 'revoked'
    /** A key that was given back is trusted again: the profile that a verdict had frozen learns on. */
    readonly thaw: boolean
    readonly now: Date
  },
): Promise<void> {
  await sql`
    insert into api_key (key_id, first_seen_at, state, state_since) values (${keyId}, ${now}, ${state}, ${now})
    on conflict (key_id) do update
    set state = excluded.state,
      frozen_at = case when ${thaw} then null else api_key.frozen_at end,
      state_since = case when api_key.state = excluded.state then api_key.state_since else excluded.state_since end`.execute(
    db,
  )
}
