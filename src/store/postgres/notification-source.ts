import type { Selectable } from 'kysely'
import type { Alert } from '../../alert/alert.ts'
import { byWorst, isHeard } from '../../alert/announce.ts'
import type { Notification, ResponseState } from '../../alert/notification.ts'
import { toAlert } from './alert-row.ts'
import type { Database } from './database.ts'
import { incidentTraffic } from './incident-traffic.ts'
import { keyAttributes } from './key-row.ts'
import { containmentOf } from './revocation-row.ts'
import type { DeliveryTable } from './delivery-tables.ts'
import type { RevocationTable } from './revocation-tables.ts'

/**
 * The message of a delivery as things are now: a retry tells the newest state. It is led by the incident's worst alert,
 * or, when it is about a revocation, by the alert that led to that.
 */
export async function readNotification(
  db: Database,
  delivery: Selectable<DeliveryTable>,
  nowMs: number,
): Promise<Notification> {
  const rows = await db
    .selectFrom('alert')
    .selectAll()
    .where('incident_id', '=', delivery.incident_id)
    .execute()
  const alerts = rows.map(toAlert).toSorted(byWorst)
  const revocation = await revocationOf(db, delivery, alerts)
  const about = delivery.revocation_id === null ? undefined : revocation?.alert_id
  const lead = alerts.find((alert) => alert.id === about) ?? alerts[0]
  // An incident is made together with its first alert, and alerts are never deleted.
  if (lead === undefined) throw new Error(`incident ${delivery.incident_id} has no alert`)
  const keys = await keyAttributes(db, [lead.keyId])
  return {
    id: delivery.id,
    type: delivery.type,
    at: delivery.created_at,
    lead,
    others: alerts.filter((alert) => alert !== lead && isHeard(alert)),
    key: keys.get(lead.keyId) ?? { keyId: lead.keyId, teamId: undefined, environment: undefined },
    traffic: await incidentTraffic(db, lead.keyId, {
      firstAlertMs: Math.min(...alerts.map((alert) => alert.openedAt.getTime())),
      untilMs: Math.min(nowMs, endMs(alerts)),
    }),
    response:
      revocation === undefined
        ? { kind: 'none' }
        : toResponse(
            revocation,
            alerts.find(({ id }) => id === revocation.alert_id),
          ),
    ...(delivery.reason === null ? {} : { reason: delivery.reason }),
    ...(delivery.instead_of === null ? {} : { insteadOf: delivery.instead_of }),
  }
}

/** When the last alert was resolved; without end while one is open. */
function endMs(alerts: readonly Alert[]): number {
  return Math.max(...alerts.map(({ resolvedAt }) => resolvedAt?.getTime() ?? Infinity))
}

/** The revocation that the delivery is about, else the newest of the incident, else the one of the key that stands. */
async function revocationOf(
  db: Database,
  delivery: Selectable<DeliveryTable>,
  alerts: readonly Alert[],
): Promise<Selectable<RevocationTable> | undefined> {
  const newest = db
    .selectFrom('revocation')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
  if (delivery.revocation_id !== null) {
    return newest.where('id', '=', delivery.revocation_id).executeTakeFirst()
  }
  const ofIncident = await newest.where('incident_id', '=', delivery.incident_id).executeTakeFirst()
  if (ofIncident !== undefined) return ofIncident
  return newest
    .where('key_id', '=', alerts[0]?.keyId ?? '')
    .where('state', 'in', ['proposed', 'pending', 'revoked', 'confirmed', 'restoring'])
    .executeTakeFirst()
}

function strikesOf({ strikes }: Selectable<RevocationTable>): { readonly strikes?: number } {
  return strikes === 0 ? {} : { strikes }
}

function toResponse(revocation: Selectable<RevocationTable>, alert: Alert | undefined): ResponseState {
  const { id: revocationId, state, updated_at: at } = revocation
  switch (state) {
    case 'dry_run':
      return { kind: 'would_revoke', ...strikesOf(revocation) }
    case 'refused':
      return { kind: 'refused', reason: revocation.reason }
    case 'failed':
      return { kind: 'failed', revocationId, error: revocation.last_error ?? 'unknown' }
    case 'restoring':
      // Revoked until the gateway has undone it.
      return { kind: 'revoked', revocationId, at }
    case 'proposed':
      return { kind: state, revocationId, ...strikesOf(revocation) }
    case 'pending':
      return { kind: state, revocationId, ...(revocation.round > 1 ? { round: revocation.round } : {}) }
    case 'revoked':
    case 'confirmed':
      return {
        kind: state,
        revocationId,
        at: revocation.revoked_at ?? at,
        means: revocation.means ?? undefined,
        containment: containmentOf(revocation, alert),
        ...strikesOf(revocation),
      }
    case 'restored':
      return { kind: state, revocationId, at }
    default:
      return state satisfies never
  }
}
