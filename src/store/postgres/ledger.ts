import { sql } from 'kysely'
import type { Verdict } from '../../alert/alert.ts'
import type { LedgerEntry, RevocationState } from '../revocation-store.ts'
import type { Database } from './database.ts'
import { readRevocations } from './revocation-row.ts'

/** What one key needs at most of a person's words: the worst stands. */
const WORST_FIRST: readonly Verdict[] = ['compromised', 'safe', 'expected']
/** What happened to a key counts before what would have, and that before what was refused. */
const STRONGEST_FIRST: readonly LedgerEntry['state'][] = ['revoked', 'proposed', 'dry_run', 'refused']

/** The policy's decisions since then, by key, newest first, each with what people said of its incidents. */
export async function ledger(
  db: Database,
  { sinceMs }: { readonly sinceMs: number },
): Promise<LedgerEntry[]> {
  const rows = await db
    .selectFrom('revocation')
    .selectAll()
    .where('by_policy', '=', true)
    .where('created_at', '>=', new Date(sinceMs))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
  const verdicts = await verdictsOf(
    db,
    rows.flatMap(({ incident_id: incidentId }) => incidentId ?? []),
  )
  const revocations = await readRevocations(db, rows)
  return [...Map.groupBy(revocations, ({ keyId }) => keyId)].flatMap(([keyId, decisions]) => {
    const ranked = decisions.toSorted((a, b) => rankOf(a.state) - rankOf(b.state))
    const [strongest] = ranked
    const first = decisions.at(-1)
    if (strongest === undefined || first === undefined) return []
    const said = decisions.flatMap(({ incidentId = '' }) => verdicts.get(`${incidentId} ${keyId}`) ?? [])
    return {
      keyId,
      state: kindOf(strongest.state),
      firstAt: first.createdAt,
      decisions: decisions.length,
      reason: strongest.reason,
      alert: strongest.alert,
      verdict: WORST_FIRST.find((verdict) => said.includes(verdict)),
    }
  })
}

function kindOf(state: RevocationState): LedgerEntry['state'] {
  return state === 'dry_run' || state === 'refused' || state === 'proposed' ? state : 'revoked'
}

function rankOf(state: RevocationState): number {
  return STRONGEST_FIRST.indexOf(kindOf(state))
}

/** The verdicts on all alerts of the incidents, by incident and key. */
async function verdictsOf(db: Database, incidentIds: readonly string[]): Promise<Map<string, Verdict[]>> {
  if (incidentIds.length === 0) return new Map()
  const { rows } = await sql<{ incident_id: string; key_id: string; verdict: Verdict }>`
    select incident_id, key_id, verdict
    from alert
    where verdict is not null and incident_id = any(${[...new Set(incidentIds)]}::uuid[])`.execute(db)
  const byKey = Map.groupBy(rows, (row) => `${row.incident_id} ${row.key_id}`)
  return new Map([...byKey].map(([key, some]) => [key, some.map(({ verdict }) => verdict)]))
}
