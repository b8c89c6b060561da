import { randomUUID } from 'node:crypto'
import { sql, type Insertable, type Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { withAnnouncement, type Announcement, type Incident } from '../../alert/announce.ts'
import type { AnnouncementPlanner } from '../engine-store.ts'
import { toAlert, toIncident } from './alert-row.ts'
import type { Database } from './database.ts'
import { keyAttributes } from './key-row.ts'
import type { IncidentTable } from './alert-tables.ts'
import type { DeliveryTable } from './delivery-tables.ts'

/**
 * Ids of open incidents that no finding speaks of and that are to be looked at all the same: no alert of theirs is open
 * any more, or a repeat or an escalation is due.
 */
export async function dueIncidents(db: Database, nowMs: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select i.id
    from incident as i
    where i.closed_at is null
      and (
        i.look_at <= ${new Date(nowMs)}
        or not exists (select from alert as a where a.incident_id = i.id and a.status <> 'resolved')
      )
    order by i.id`.execute(db)
  return rows.map((row) => row.id)
}

/**
 * Asks `plan` about each incident, puts the messages that it wants into the outbox, and closes incidents whose alerts
 * are all resolved. Runs in the transaction that changed the alerts, under the alerting lock.
 */
export async function announceIncidents(
  db: Database,
  incidentIds: readonly string[],
  { plan, nowMs }: { readonly plan: AnnouncementPlanner; readonly nowMs: number },
): Promise<void> {
  if (incidentIds.length === 0) return
  const incidents = await db.selectFrom('incident').selectAll().where('id', 'in', incidentIds).execute()
  const alerts = await db.selectFrom('alert').selectAll().where('incident_id', 'in', incidentIds).execute()
  const byIncident = Map.groupBy(alerts.map(toAlert), (alert) => alert.incidentId)
  const keys = await keyAttributes(
    db,
    alerts.map((alert) => alert.key_id),
  )
  for (const row of incidents) {
    const incident = toIncident(row)
    const incidentAlerts = byIncident.get(incident.id) ?? []
    await writePlan(db, {
      row,
      incident,
      alerts: incidentAlerts,
      planned: plan(incident, incidentAlerts, keys),
      now: new Date(nowMs),
    })
  }
}

interface Announcing {
  readonly row: Selectable<IncidentTable>
  readonly incident: Incident
  readonly alerts: readonly Alert[]
  readonly planned: ReturnType<AnnouncementPlanner>
  readonly now: Date
}

async function writePlan(db: Database, announcing: Announcing): Promise<void> {
  const { row, incident, alerts, planned, now } = announcing
  const announcement = planned?.announcement
  const after = announcement === undefined ? incident : withAnnouncement(incident, announcement)
  if (planned !== undefined && announcement !== undefined) {
    const channels =
      announcement.cause === 'resolved' ? await toldChannels(db, incident.id) : planned.channels
    await insertDeliveries(db, {
      channels,
      delivery: {
        incident_id: incident.id,
        number: announcement.number,
        type: announcement.type,
        created_at: now,
        due_at: announcement.dueAt,
        reason: announcement.reason ?? null,
      },
    })
    await rememberTold(db, { incident, announcement, channels, now })
  }
  const isOver = alerts.every((alert) => alert.status === 'resolved')
  // Most ticks find again what was told: nothing is written then.
  if (announcement === undefined && !isOver && isAsPlanned(row, planned)) return
  await db
    .updateTable('incident')
    .set({
      announced_severity: after.announcedSeverity ?? null,
      last_announced_at: after.lastAnnouncedAt ?? null,
      announcements: after.announcements,
      told_at: after.toldAt ?? null,
      repeats: after.repeats ?? 0,
      escalated_ms: after.escalatedMs ?? 0,
      look_at: planned?.lookAt ?? null,
      ...(planned?.routed === undefined ? {} : { channels: [...planned.routed] }),
      closed_at: isOver ? now : null,
    })
    .where('id', '=', incident.id)
    .execute()
}

function isAsPlanned(row: Selectable<IncidentTable>, planned: ReturnType<AnnouncementPlanner>): boolean {
  const { lookAt, routed = row.channels } = planned ?? {}
  return row.look_at?.getTime() === lookAt?.getTime() && routed.join() === row.channels.join()
}

/** Marks the alerts that the message tells; whom it was told further belongs to the history of the one that leads. */
async function rememberTold(
  db: Database,
  {
    incident,
    announcement,
    channels,
    now,
  }: {
    readonly incident: Incident
    readonly announcement: Announcement
    readonly channels: readonly string[]
    readonly now: Date
  },
): Promise<void> {
  await db
    .updateTable('alert')
    .set({ announced_at: now })
    .where('incident_id', '=', incident.id)
    .where('status', 'in', ['firing', 'acknowledged'])
    .where('announced_at', 'is', null)
    .execute()
  if (announcement.cause !== 'unanswered') return
  const { lead, reason = '' } = announcement
  await db
    .insertInto('alert_history')
    .values({
      alert_id: lead.id,
      at: now,
      change: 'told_further',
      severity: lead.severity,
      actor: 'keyhound',
      note: `${reason}: told ${channels.join(', ')}`,
    })
    .execute()
}

/** The channels that a message about the incident's alerts went to, or is on its way to. */
export async function toldChannels(db: Database, incidentId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('delivery')
    .select('channel')
    .distinct()
    .where('incident_id', '=', incidentId)
    .where('type', 'in', ['alert.opened', 'alert.repeated'])
    .orderBy('channel')
    .execute()
  return rows.map((row) => row.channel)
}

type NewDelivery = Pick<
  Insertable<DeliveryTable>,
  'incident_id' | 'number' | 'type' | 'created_at' | 'due_at' | 'revocation_id' | 'reason'
>

/** Puts one message per channel into the outbox; what is there already stays as it is. */
export async function insertDeliveries(
  db: Database,
  { channels, delivery }: { readonly channels: readonly string[]; readonly delivery: NewDelivery },
): Promise<void> {
  if (channels.length === 0) return
  await db
    .insertInto('delivery')
    .values(channels.map((channel) => ({ ...delivery, id: randomUUID(), channel })))
    .onConflict((conflict) => conflict.constraint('delivery_once').doNothing())
    .execute()
}
