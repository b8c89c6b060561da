import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { triage, type Triage } from '../../alert/triage.ts'
import { severityRank, type Finding } from '../../detect/finding.ts'
import type { AnnouncementPlanner, TickDecisions, TickOutcome } from '../engine-store.ts'
import { toAlert } from './alert-row.ts'
import { announceIncidents, emptyIncidents } from './announce-incidents.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import type { AlertHistoryTable, AlertTable } from './tables.ts'

const ACTOR = 'keyhound'

/**
 * Writes what a tick decided, in one transaction and under the alerting lock: of two ticks at once, the second sees what
 * the first opened and announced. Repeating a tick changes nothing.
 */
export async function commitTick(
  db: Database,
  decisions: TickDecisions,
  plan: AnnouncementPlanner,
): Promise<TickOutcome> {
  const idle = decisions.findings.length === 0 && decisions.resolved.length === 0
  // An operator may have resolved the last alert of an incident: that is told at the next tick, findings or not.
  if (idle && (await emptyIncidents(db)).length === 0) return { opened: [], escalated: [], resolved: [] }
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const { opening, updating } = sortFindings(decisions, await openAlertsOf(trx, decisions.findings))
    const opened = await openAlerts(trx, opening, decisions.nowMs)
    const updated = await updateAlerts(trx, updating, decisions.nowMs)
    const resolved = await resolveAlerts(trx, decisions)
    const escalated = updated.filter((alert) => updating.get(alert.id)?.escalates === true)
    await writeHistory(trx, { opened, escalated, resolved }, decisions.nowMs)
    const touched = [...opened, ...updated, ...resolved].map((alert) => alert.incidentId)
    const incidentIds = [...new Set([...touched, ...(await emptyIncidents(trx))])]
    await announceIncidents(trx, incidentIds, { plan, nowMs: decisions.nowMs })
    return { opened, escalated, resolved }
  })
}

interface Opening {
  readonly finding: Finding
  readonly groupKey: string
}

type Updating = Extract<Triage, { kind: 'update' }>

function sortFindings(
  { findings, nowMs }: TickDecisions,
  open: ReadonlyMap<string, Alert>,
): { opening: Opening[]; updating: Map<string, Updating> } {
  const opening = new Map<string, Opening>()
  const updating = new Map<string, Updating>()
  for (const { finding, groupKey } of findings) {
    const identity = identityOf(finding)
    const decision = triage(finding, open.get(identity))
    if (decision.kind === 'open') {
      if (!isWorse(finding, opening.get(identity)?.finding)) continue
      opening.set(identity, { finding, groupKey })
    } else {
      const { alert } = decision
      // The tick was committed before, or a later one was.
      if (alert.lastSeenAt.getTime() >= nowMs && !decision.escalates) continue
      if (isWorse(decision.finding, updating.get(alert.id)?.finding)) updating.set(alert.id, decision)
    }
  }
  return { opening: [...opening.values()], updating }
}

function isWorse(a: Finding, b: Finding | undefined): boolean {
  return b === undefined || severityRank(a.severity) > severityRank(b.severity)
}

async function openAlertsOf(db: Database, findings: TickDecisions['findings']): Promise<Map<string, Alert>> {
  if (findings.length === 0) return new Map()
  const rows = await db
    .selectFrom('alert')
    .selectAll()
    .where('status', '<>', 'resolved')
    .where(sql<boolean>`key_id = any(${findings.map(({ finding }) => finding.keyId)}::text[])`)
    .execute()
  return new Map(rows.map((row) => [identityOf(toAlert(row)), toAlert(row)]))
}

function identityOf({ detector, keyId, scope }: Pick<Finding, 'detector' | 'keyId' | 'scope'>): string {
  return JSON.stringify([detector, keyId, scope])
}

async function openAlerts(db: Database, opening: readonly Opening[], nowMs: number): Promise<Alert[]> {
  if (opening.length === 0) return []
  const now = new Date(nowMs)
  const incidents = await openIncidents(db, new Set(opening.map(({ groupKey }) => groupKey)), now)
  const rows = opening.map(({ finding, groupKey }) => ({
    id: randomUUID(),
    incident_id: incidents.get(groupKey) ?? '',
    detector: finding.detector,
    key_id: finding.keyId,
    scope: finding.scope,
    severity: finding.severity,
    status: 'firing' as const,
    opened_at: now,
    last_seen_at: now,
    occurrences: 1,
    summary: finding.summary,
    evidence: JSON.stringify(finding.evidence),
  }))
  return (await db.insertInto('alert').values(rows).returningAll().execute()).map(toAlert)
}

/** The ids of the open incidents of the groups, made where there is none. */
async function openIncidents(
  db: Database,
  groupKeys: ReadonlySet<string>,
  now: Date,
): Promise<Map<string, string>> {
  await db
    .insertInto('incident')
    .values([...groupKeys].map((groupKey) => ({ id: randomUUID(), group_key: groupKey, opened_at: now })))
    .onConflict((conflict) => conflict.column('group_key').where('closed_at', 'is', null).doNothing())
    .execute()
  const rows = await db
    .selectFrom('incident')
    .select(['id', 'group_key'])
    .where('closed_at', 'is', null)
    .where(sql<boolean>`group_key = any(${[...groupKeys]}::text[])`)
    .execute()
  return new Map(rows.map((row) => [row.group_key, row.id]))
}

async function updateAlerts(
  db: Database,
  updating: ReadonlyMap<string, Updating>,
  nowMs: number,
): Promise<Alert[]> {
  if (updating.size === 0) return []
  const updates = [...updating.values()]
  const { rows } = await sql<Selectable<AlertTable>>`
    update alert as a set
      severity = u.severity,
      -- What was acknowledged was milder: the alert is up again.
      status = case when u.escalates then 'firing' else a.status end,
      summary = u.summary,
      evidence = u.evidence,
      last_seen_at = greatest(a.last_seen_at, ${new Date(nowMs)}),
      occurrences = a.occurrences + (a.last_seen_at < ${new Date(nowMs)})::int
    from unnest(
      ${updates.map(({ alert }) => alert.id)}::uuid[],
      ${updates.map(({ finding }) => finding.severity)}::text[],
      ${updates.map(({ finding }) => finding.summary)}::text[],
      ${updates.map(({ finding }) => JSON.stringify(finding.evidence))}::jsonb[],
      ${updates.map(({ escalates }) => escalates)}::boolean[]
    ) as u (id, severity, summary, evidence, escalates)
    where a.id = u.id
    returning a.*`.execute(db)
  return rows.map(toAlert)
}

/** An alert that this tick, or a later one, found again is not quiet, whatever was decided before. */
async function resolveAlerts(db: Database, { resolved, findings, nowMs }: TickDecisions): Promise<Alert[]> {
  if (resolved.length === 0) return []
  const found = new Set(findings.map(({ finding }) => identityOf(finding)))
  const rows = await db
    .selectFrom('alert')
    .selectAll()
    .where(sql<boolean>`id = any(${[...resolved]}::uuid[])`)
    .where('status', '<>', 'resolved')
    .where('last_seen_at', '<=', new Date(nowMs))
    .execute()
  const quiet = rows.filter((row) => !found.has(identityOf(toAlert(row))))
  if (quiet.length === 0) return []
  const updated = await db
    .updateTable('alert')
    .set({ status: 'resolved', resolved_at: new Date(nowMs) })
    .where(
      'id',
      'in',
      quiet.map((row) => row.id),
    )
    .returningAll()
    .execute()
  return updated.map(toAlert)
}

async function writeHistory(
  db: Database,
  { opened, escalated, resolved }: TickOutcome,
  nowMs: number,
): Promise<void> {
  const line = (change: AlertHistoryTable['change']) => (alert: Alert) => ({
    alert_id: alert.id,
    at: new Date(nowMs),
    change,
    severity: alert.severity,
    actor: ACTOR,
  })
  const lines = [
    ...opened.map(line('opened')),
    ...escalated.map(line('escalated')),
    ...resolved.map(line('resolved')),
  ]
  if (lines.length > 0) await db.insertInto('alert_history').values(lines).execute()
}
