import { randomUUID } from 'node:crypto'
import { sql, type Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { triage, type Triage } from '../../alert/triage.ts'
import { severityRank, type Finding } from '../../detect/finding.ts'
import type { AnnouncementPlanner, TickDecisions, TickOutcome } from '../engine-store.ts'
import { absorbExpected } from './absorb-expected.ts'
import { toAlert } from './alert-row.ts'
import { announceIncidents, dueIncidents } from './announce-incidents.ts'
import type { Database } from './database.ts'
import { lock } from './lock.ts'
import { applyMoves, dueMoves } from './move-alerts.ts'
import type { AlertHistoryTable, AlertTable } from './alert-tables.ts'

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
  await countClean(db, decisions.clean ?? [])
  await holdAlerts(db, decisions)
  const idle = decisions.findings.length === 0 && decisions.resolved.length === 0
  if (idle && !(await isAnythingDue(db, decisions))) return { opened: [], escalated: [], resolved: [] }
  return db.transaction().execute(async (trx) => {
    await lock(trx, 'alerting')
    const { opening, updating } = sortFindings(decisions, await openAlertsOf(trx, decisions.findings))
    const opened = await openAlerts(trx, await absorbExpected(trx, opening, decisions), decisions.nowMs)
    const updated = await updateAlerts(trx, updating, decisions.nowMs)
    const resolved = await resolveAlerts(trx, decisions)
    const escalated = updated.filter((alert) => updating.get(alert.id)?.escalates === true)
    await writeHistory(trx, { opened, escalated, resolved }, decisions.nowMs)
    const moves = await dueMoves(trx, { mutes: decisions.mutes ?? [], nowMs: decisions.nowMs })
    await applyMoves(trx, moves, new Date(decisions.nowMs))
    const touched = [...opened, ...updated, ...resolved, ...moves.map(({ alert }) => alert)]
    const incidentIds = [
      ...new Set([
        ...touched.map((alert) => alert.incidentId),
        ...(await dueIncidents(trx, decisions.nowMs)),
      ]),
    ]
    await announceIncidents(trx, incidentIds, { plan, nowMs: decisions.nowMs })
    return { opened, escalated, resolved }
  })
}

/**
 * What falls due without a finding: an operator resolved the last alert of an incident, a silence, a window or an
 * acknowledgement ended, a repeat or an escalation is due. Asked at every tick; the lock is taken only for what there is.
 */
async function isAnythingDue(db: Database, { mutes = [], nowMs }: TickDecisions): Promise<boolean> {
  return (await dueIncidents(db, nowMs)).length > 0 || (await dueMoves(db, { mutes, nowMs })).length > 0
}

/**
 * Counts the evaluations that did not find an alert. Without the alerting lock, at every tick: a row that somebody holds
 * is left out (no deadlock), which costs it one count.
 */
async function countClean(db: Database, alertIds: readonly string[]): Promise<void> {
  if (alertIds.length === 0) return
  await sql`
    with mine as (
      select id from alert where id = any(${[...alertIds]}::uuid[]) and status <> 'resolved' for update skip locked
    )
    update alert as a set clean = a.clean + 1 from mine where a.id = mine.id`.execute(db)
}

/** Seen, and so not clean; `greatest`, because a tick may be committed late. Left out like `countClean`, for one tick. */
async function holdAlerts(db: Database, { held = [], nowMs }: TickDecisions): Promise<void> {
  if (held.length === 0) return
  await sql`
    with mine as (
      select id from alert where id = any(${[...held]}::uuid[]) and status <> 'resolved' for update skip locked
    )
    update alert as a set clean = 0, last_seen_at = greatest(a.last_seen_at, ${new Date(nowMs)})
    from mine where a.id = mine.id`.execute(db)
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
      -- What was acknowledged was milder: the alert is up again. Whether a silence covers it now is decided next.
      status = case when u.escalates and a.status = 'acknowledged' then 'firing' else a.status end,
      acknowledged_until = case when u.escalates then null else a.acknowledged_until end,
      clean = 0,
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
