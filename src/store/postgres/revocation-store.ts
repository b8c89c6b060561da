import { sql, type Selectable } from 'kysely'
import type { Revocation, RevocationQuery, RevocationStore } from '../revocation-store.ts'
import type { Database } from './database.ts'
import { decideDue } from './decide-due.ts'
import { fleetFacts } from './fleet-facts.ts'
import { beginHalt, endHalts, openHalts } from './halts.ts'
import { keyMetadata } from './key-metadata.ts'
import { ledger } from './ledger.ts'
import { approve, requestRestore, requestRevoke, restoreDue } from './operator-wish.ts'
import { readRevocations } from './revocation-row.ts'
import { settleRevocation } from './settle-revocation.ts'
import type { RevocationTable } from './revocation-tables.ts'
import { callAgain, confirmRevocation, watchedKeys } from './watched-keys.ts'

/** The daemon's RevocationStore. Whatever changes revocations holds the alerting lock. */
export function createRevocationStore(db: Database): RevocationStore {
  return {
    decideDue: (decide, nowMs) => decideDue(db, decide, nowMs),
    claimDue: (claim) => claimDue(db, claim),
    remember: (id, memo) => remember(db, id, memo),
    settle: (id, outcome, nowMs) => settleRevocation(db, id, { outcome, nowMs }),
    metadataOf: (keyId, name, nowMs) => keyMetadata(db, { keyId, name, nowMs }),
    watched: (range) => watchedKeys(db, range),
    confirm: (id, act) => confirmRevocation(db, id, act),
    callAgain: (id, act) => callAgain(db, id, act),
    restoreDue: (nowMs) => restoreDue(db, nowMs),
    requestRevoke: (wish) => requestRevoke(db, wish),
    approve: (id, act) => approve(db, id, act),
    requestRestore: (wish) => requestRestore(db, wish),
    forKey: (keyId, limit) => list(db, { keyId, limit }),
    list: (query) => list(db, query),
    ledger: (range) => ledger(db, range),
    halts: () => openHalts(db),
    halt: (act) => beginHalt(db, { ...act, cause: 'operator' }),
    resume: (causes, act) => endHalts(db, causes, act),
    fleet: (nowMs) => fleetFacts(db, nowMs),
  }
}

async function list(db: Database, { keyId, states, sinceMs, limit }: RevocationQuery): Promise<Revocation[]> {
  let query = db.selectFrom('revocation').selectAll()
  if (keyId !== undefined) query = query.where('key_id', '=', keyId)
  if (states !== undefined) query = query.where('state', 'in', [...states])
  if (sinceMs !== undefined) query = query.where('created_at', '>=', new Date(sinceMs))
  const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
  return readRevocations(db, rows)
}

/** The first memo stays: a later one would describe what the revocation itself did. */
async function remember(db: Database, id: string, memo: string): Promise<string> {
  const row = await db
    .updateTable('revocation')
    .set({ memo: sql<string>`coalesce(memo, ${memo})` })
    .where('id', '=', id)
    .returning('memo')
    .executeTakeFirstOrThrow()
  return row.memo ?? memo
}

async function claimDue(
  db: Database,
  { nowMs, limit, leaseMs }: Parameters<RevocationStore['claimDue']>[0],
): Promise<Revocation[]> {
  const now = new Date(nowMs)
  const rows: Selectable<RevocationTable>[] = await db
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
