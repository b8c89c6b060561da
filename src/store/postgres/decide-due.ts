import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import type { PolicyDecision, PolicyFacts, Revocation } from '../revocation-store.ts'
import { appendAudit } from './audit.ts'
import type { Database } from './database.ts'
import { firstAbuseAt } from './first-abuse.ts'
import { fleetFacts } from './fleet-facts.ts'
import { writeHalt } from './halts.ts'
import { lock } from './lock.ts'
import { POLICY, policyFacts } from './policy-facts.ts'
import { readRevocations } from './revocation-row.ts'
import { tellIncident } from './tell-incident.ts'
import type { AlertTable } from './alert-tables.ts'
import type { RevocationTable } from './revocation-tables.ts'

/** Judged in one transaction; the rest of a flood in the next. */
const ALERTS_PER_ROUND = 100

type Decide = (facts: PolicyFacts) => PolicyDecision

/** Judges open alerts that the policy has not judged at their present severity, worst first, and writes its decisions. */
export async function decideDue(db: Database, decide: Decide, nowMs: number): Promise<Revocation[]> {
  // Asked every second; the lock is taken only when there is something to judge.
  if ((await undecided(db, 1)).length === 0) return []
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const alerts = await undecided(trx, ALERTS_PER_ROUND)
    let fleet = await fleetFacts(trx, nowMs)
    const written: Selectable<RevocationTable>[] = []
    for (const row of alerts) {
      const facts = await policyFacts(trx, { row, fleet, nowMs })
      const decision = decide(facts)
      await trx
        .updateTable('alert')
        .set({ decided_severity: row.severity })
        .where('id', '=', row.id)
        .execute()
      if (decision.kind === 'none') continue
      if (decision.kind === 'refused' && decision.halt !== undefined) {
        const halt = await writeHalt(trx, { ...decision.halt, actor: POLICY, nowMs })
        if (!fleet.halts.some(({ id }) => id === halt.id)) fleet = { ...fleet, halts: [...fleet.halts, halt] }
      }
      written.push(await writeDecision(trx, { facts, decision }))
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

async function writeDecision(
  db: Database,
  {
    facts: { alert, strikes, nowMs },
    decision,
  }: { readonly facts: PolicyFacts; readonly decision: Exclude<PolicyDecision, { kind: 'none' }> },
): Promise<Selectable<RevocationTable>> {
  const now = new Date(nowMs)
  const revocation = await db
    .insertInto('revocation')
    .values({
      id: randomUUID(),
      key_id: alert.keyId,
      alert_id: alert.id,
      incident_id: alert.incidentId,
      state: decision.kind,
      reason: decision.reason,
      actor: POLICY,
      by_policy: true,
      created_at: now,
      updated_at: now,
      due_at: now,
      first_abuse_at: (await firstAbuseAt(db, alert)) ?? null,
      strikes: strikes?.count ?? 0,
      halt: decision.kind === 'refused' ? (decision.halt?.cause ?? null) : null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await appendAudit(db, [
    {
      at: now,
      actor: POLICY,
      action: `revocation.${decision.kind}`,
      keyId: alert.keyId,
      subject: revocation.id,
      detail: { alert: alert.id, reason: decision.reason },
    },
  ])
  if (decision.kind === 'proposed') {
    await tellIncident(db, { revocation, type: 'key.revocation_proposed', now, to: 'those who were told' })
  }
  return revocation
}
