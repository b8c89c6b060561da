import { sql } from 'kysely'
import type { Revocation, RevocationStore } from '../revocation-store.ts'
import type { Database } from './database.ts'
import { decideDue } from './decide-due.ts'
import { requestRestore, requestRevoke } from './operator-wish.ts'
import { readRevocations } from './revocation-row.ts'
import { settleRevocation } from './settle-revocation.ts'

/** The daemon's RevocationStore. Whatever changes revocations holds the alerting lock. */
export function createRevocationStore(db: Database): RevocationStore {
  return {
    decideDue: (decide, nowMs) => decideDue(db, decide, nowMs),
    claimDue: (claim) => claimDue(db, claim),
    settle: (id, outcome, nowMs) => settleRevocation(db, id, { outcome, nowMs }),
    requestRevoke: (wish) => requestRevoke(db, wish),
    requestRestore: (wish) => requestRestore(db, wish),
    async forKey(keyId, limit) {
      const rows = await db
        .selectFrom('revocation')
        .selectAll()
        .where('key_id', '=', keyId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
      return readRevocations(db, rows)
    },
  }
}

async function claimDue(
  db: Database,
  { nowMs, limit, leaseMs }: Parameters<RevocationStore['claimDue']>[0],
): Promise<Revocation[]> {
  const now = new Date(nowMs)
  const rows = await db
    .with('due', (with_) =>
      with_
        .selectFrom('revocation')
        .select('id')
        .where('state', 'in', ['pending', 'restoring'])
        .where('due_at', '<=', now)
        .where((where) => where.or([where('locked_until', 'is', null), where('locked_until', '<=', now)]))
        .orderBy('due_at')
        .orderBy('id')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('revocation')
    .from('due')
    .whereRef('revocation.id', '=', 'due.id')
    .set((set) => ({
      locked_until: new Date(nowMs + leaseMs),
      attempts: set('revocation.attempts', '+', 1),
      // The state at the claim: an operator may ask for the opposite while the gateway is being called.
      calling: sql<'pending' | 'restoring'>`revocation.state`,
    }))
    .returningAll('revocation')
    .execute()
  const claimed = await readRevocations(db, rows)
  return claimed.map((revocation) => ({ ...revocation, attempts: revocation.attempts - 1 }))
}
