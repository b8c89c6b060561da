import { sql, type Selectable } from 'kysely'
import type { NotificationType } from '../../alert/notification.ts'
import { insertDeliveries } from './announce-incidents.ts'
import type { Database } from './database.ts'
import type { RevocationTable } from './revocation-tables.ts'

/**
 * Puts the turn of a revocation into the outbox, for the channels on which its incident is announced. A wish without an
 * alert has no incident, and nobody to tell.
 *
 * `those who were told` leaves out the channels whose message about the incident still waits: that message tells the
 * newest state itself, so that opening and proposal are one message, not two.
 */
export async function tellIncident(
  db: Database,
  {
    revocation,
    type,
    now,
    to,
  }: {
    readonly revocation: Selectable<RevocationTable>
    readonly type: NotificationType
    readonly now: Date
    readonly to: 'all' | 'those who were told'
  },
): Promise<void> {
  const { id, incident_id: incidentId } = revocation
  if (incidentId === null) return
  const { rows } = await sql<{ channel: string }>`
    select channel
    from (
      select channel
      from delivery
      where incident_id = ${incidentId} and type in ('alert.opened', 'alert.repeated')
      union
      -- Containment is never silenced: it is told where its alerts would have been.
      select unnest(channels)
      from incident
      where id = ${incidentId} and not exists (
        select from alert where incident_id = ${incidentId} and status not in ('silenced', 'resolved')
      )
    ) as told
    where ${to === 'all'} or not exists (
      select from delivery as waiting
      where waiting.incident_id = ${incidentId} and waiting.channel = told.channel
        and waiting.revocation_id is null and waiting.state = 'pending'
    )
    order by channel`.execute(db)
  await insertDeliveries(db, {
    channels: rows.map((row) => row.channel),
    // Numbered by the revocation, not by the incident.
    delivery: { incident_id: incidentId, number: 0, type, created_at: now, due_at: now, revocation_id: id },
  })
}
