import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import type { KeyAttributes } from '../../usage/event.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { PolicyDecision, PolicyFacts, Revocation } from '../revocation-store.ts'
import { toAlert } from './alert-row.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { keyAttributes } from './key-row.ts'
import { lock } from './lock.ts'
import { readRevocations, standingOf } from './revocation-row.ts'
import { tellIncident } from './tell-incident.ts'
import type { AlertTable, RevocationTable } from './tables.ts'

const POLICY = 'policy'
/** Judged in one transaction; the rest of a flood in the next. */
const ALERTS_PER_ROUND = 200

type Decide = (facts: PolicyFacts) => PolicyDecision

/** Judges open alerts that the policy has not judged at their present severity, worst first, and writes its decisions. */
export async function decideDue(db: Database, decide: Decide, nowMs: number): Promise<Revocation[]> {
  // Asked every second; the lock is taken only when there is something to judge.
  if ((await undecided(db, 1)).length === 0) return []
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const alerts = await undecided(trx, ALERTS_PER_ROUND)
    const keys = await keyAttributes(
      trx,
      alerts.map((alert) => alert.key_id),
    )
    const written: Selectable<RevocationTable>[] = []
    for (const row of alerts) {
      const key = keys.get(row.key_id) ?? { keyId: row.key_id, teamId: undefined, environment: undefined }
      const decision = decide(await factsOf(trx, { row, key, nowMs }))
      await trx
        .updateTable('alert')
        .set({ decided_severity: row.severity })
        .where('id', '=', row.id)
        .execute()
      if (decision.kind !== 'none') written.push(await writeDecision(trx, { row, decision, nowMs }))
    }
    return readRevocations(trx, written)
  })
}

async function undecided(db: Database, limit: number): Promise<Selectable<AlertTable>[]> {
  return db
    .selectFrom('alert')
    .selectAll()
    .where('status', '<>', 'resolved')
    .where(sql<boolean>`decided_severity is distinct from severity`)
    .orderBy(sql`array_position(array['critical', 'warning', 'info'], severity)`)
    .orderBy('opened_at')
    .orderBy('id')
    .limit(limit)
    .execute()
}

interface Judged {
  readonly row: Selectable<AlertTable>
  readonly nowMs: number
}

async function factsOf(
  db: Database,
  { row, key, nowMs }: Judged & { readonly key: KeyAttributes },
): Promise<PolicyFacts> {
  const { revoked } = await db
    .selectFrom('revocation')
    .select((select) => select.fn.countAll<number>().as('revoked'))
    .where('actor', '=', POLICY)
    .where('created_at', '>', new Date(nowMs - HOUR_MS))
    // One that was restored since was a revocation all the same.
    .where('state', 'in', ['pending', 'revoked', 'failed', 'restoring', 'restored'])
    .executeTakeFirstOrThrow()
  return {
    alert: toAlert(row),
    key,
    nowMs,
    revokedLastHour: revoked,
    standing: (await standingOf(db, row.key_id))?.state,
  }
}

async function writeDecision(
  db: Database,
  { row, decision, nowMs }: Judged & { readonly decision: Exclude<PolicyDecision, { kind: 'none' }> },
): Promise<Selectable<RevocationTable>> {
  const now = new Date(nowMs)
  const revocation = await db
    .insertInto('revocation')
    .values({
      id: randomUUID(),
      key_id: row.key_id,
      alert_id: row.id,
      incident_id: row.incident_id,
      state: decision.kind,
      reason: decision.reason,
      actor: POLICY,
      created_at: now,
      updated_at: now,
      due_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await appendAudit(db, [
    {
      at: now,
      actor: POLICY,
      action: `revocation.${decision.kind}`,
      keyId: row.key_id,
      subject: revocation.id,
      detail: { alert: row.id, reason: decision.reason },
    },
  ])
  if (decision.kind === 'proposed') {
    await tellIncident(db, { revocation, type: 'key.revocation_proposed', now, to: 'those who were told' })
  }
  return revocation
}
