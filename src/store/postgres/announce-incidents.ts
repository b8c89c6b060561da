import { randomUUID } from 'node:crypto'
import { sql, type Insertable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { announcedSeverity, type Incident } from '../../alert/announce.ts'
import type { AnnouncementPlanner } from '../engine-store.ts'
import { toAlert, toIncident } from './alert-row.ts'
import type { Database } from './database.ts'
import { keyAttributes } from './key-row.ts'
import type { DeliveryTable } from './tables.ts'

/** Ids of open incidents that have no open alert left: they are to be told, and closed. */
export async function emptyIncidents(db: Database): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select i.id
    from incident as i
    where i.closed_at is null
      and not exists (select from alert as a where a.incident_id = i.id and a.status <> 'resolved')
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
  for (const incident of incidents.map(toIncident)) {
    const incidentAlerts = byIncident.get(incident.id) ?? []
    await writeAnnouncement(db, {
      incident,
      alerts: incidentAlerts,
      planned: plan(incident, incidentAlerts, keys),
      now: new Date(nowMs),
    })
  }
}

interface Announcing {
  readonly incident: Incident
  readonly alerts: readonly Alert[]
  readonly planned: ReturnType<AnnouncementPlanner>
  readonly now: Date
}

async function writeAnnouncement(
  db: Database,
  { incident, alerts, planned, now }: Announcing,
): Promise<void> {
  if (planned !== undefined) {
    const { announcement, channels } = planned
    await insertDeliveries(db, {
      channels,
      delivery: {
        incident_id: incident.id,
        number: announcement.number,
        type: announcement.type,
        created_at: now,
        due_at: announcement.dueAt,
      },
    })
    await db
      .updateTable('incident')
      .set({
        announced_severity: announcedSeverity(incident, announcement),
        last_announced_at: announcement.dueAt,
        // The number of a message that still waits is given again, for the channels that join it.
        announcements: Math.max(incident.announcements, announcement.number),
      })
      .where('id', '=', incident.id)
      .execute()
  }
  if (alerts.every((alert) => alert.status === 'resolved')) {
    await db.updateTable('incident').set({ closed_at: now }).where('id', '=', incident.id).execute()
  }
}

type NewDelivery = Pick<
  Insertable<DeliveryTable>,
  'incident_id' | 'number' | 'type' | 'created_at' | 'due_at' | 'revocation_id'
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
