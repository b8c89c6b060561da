import { sql, type Selectable } from 'kysely'
import type { NotificationType } from '../../alert/notification.ts'
import type { RevocationState, RevocationStore } from '../revocation-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import { tellIncident } from './tell-incident.ts'
import type { RevocationTable } from './tables.ts'

type Outcome = Parameters<RevocationStore['settle']>[1]

/**
 * Writes what became of a call: the state of revocation and key, the audit, and what the incident's channels are told. A
 * restore that failed for good leaves the key revoked, with the error; there is no message for it, for the person
 * who asked sees it. When an operator asked for the opposite during the call, his wish stands and is carried out next.
 */
export async function settleRevocation(
  db: Database,
  id: string,
  { outcome, nowMs }: { readonly outcome: Outcome; readonly nowMs: number },
): Promise<void> {
  const now = new Date(nowMs)
  await db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const revocation = await trx.selectFrom('revocation').selectAll().where('id', '=', id).executeTakeFirst()
    // Settled already: a claim that outlived its lease was carried out twice, with the same request id.
    if (revocation?.calling == null) return
    const { calling } = revocation
    const overruled = revocation.state !== calling
    if (outcome.kind === 'retry') {
      const dueAt = overruled ? now : outcome.at
      await write(trx, id, { due_at: dueAt, last_error: outcome.error, locked_until: null, calling: null })
      return
    }
    const result = resultOf(calling, outcome)
    await write(trx, id, {
      ...(overruled ? { due_at: now } : { state: result.state, updated_at: now }),
      ...(outcome.kind === 'done'
        ? { receipt: outcome.receipt, last_error: null }
        : { last_error: outcome.error }),
      locked_until: null,
      calling: null,
    })
    if (outcome.kind === 'done') await setKeyState(trx, { keyId: revocation.key_id, state: result.key, now })
    await appendAudit(trx, [
      {
        at: now,
        actor: revocation.actor,
        action: result.action,
        keyId: revocation.key_id,
        subject: id,
        detail: outcome.kind === 'done' ? { receipt: outcome.receipt } : { error: outcome.error },
      },
    ])
    if (result.tells !== undefined)
      await tellIncident(trx, { revocation, type: result.tells, now, to: 'all' })
  })
}

interface Result {
  readonly state: RevocationState
  readonly key: 'active' | 'revoked'
  readonly action: string
  readonly tells: NotificationType | undefined
}

function resultOf(calling: 'pending' | 'restoring', outcome: Exclude<Outcome, { kind: 'retry' }>): Result {
  const done = outcome.kind === 'done'
  if (calling === 'pending') {
    return done
      ? { state: 'revoked', key: 'revoked', action: 'key.revoked', tells: 'key.revoked' }
      : { state: 'failed', key: 'active', action: 'key.revocation_failed', tells: 'key.revocation_failed' }
  }
  return done
    ? { state: 'restored', key: 'active', action: 'key.restored', tells: 'key.restored' }
    : { state: 'revoked', key: 'revoked', action: 'key.restore_failed', tells: undefined }
}

async function write(
  db: Database,
  id: string,
  change: Partial<
    Pick<
      Selectable<RevocationTable>,
      'state' | 'updated_at' | 'due_at' | 'locked_until' | 'calling' | 'receipt' | 'last_error'
    >
  >,
): Promise<void> {
  await db.updateTable('revocation').set(change).where('id', '=', id).execute()
}

/** An operator may revoke a key that has never been used. */
async function setKeyState(
  db: Database,
  { keyId, state, now }: { keyId: string; state: 'active' | 'revoked'; now: Date },
): Promise<void> {
  await sql`
    insert into api_key (key_id, first_seen_at, state) values (${keyId}, ${now}, ${state})
    on conflict (key_id) do update set state = excluded.state`.execute(db)
}
