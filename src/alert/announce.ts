import { severityRank, type Severity } from '../detect/finding.ts'
import type { Alert } from './alert.ts'
import type { NotificationType } from './notification.ts'
import { worse } from './triage.ts'

/**
 * The alerts of one group (by default: of one key) that are open at the same time. Announced together: one incident,
 * one message, led by the worst alert.
 */
export interface Incident {
  readonly id: string
  readonly groupKey: string
  readonly openedAt: Date
  readonly closedAt: Date | undefined
  /** The worst severity that has been announced; undefined before the first announcement. */
  readonly announcedSeverity: Severity | undefined
  /** When the last announcement was, or will be, sent; undefined before the first. */
  readonly lastAnnouncedAt: Date | undefined
  /** How often it has been announced; numbers the transitions. */
  readonly announcements: number
}

export interface AnnounceSettings {
  readonly groupWaitMs: number
  readonly repeatIntervalMs: number
}

/** A message that is due about an incident. Its number, with the incident and the channel, makes it unique. */
export interface Announcement {
  readonly number: number
  readonly type: NotificationType
  readonly lead: Alert
  readonly dueAt: Date
}

/**
 * Decides whether the incident must be told about now: when it opens (after `groupWaitMs`, so that what is found
 * within it shares the message), when it becomes worse than what was told, every `repeatIntervalMs` while it is
 * firing, and when its last alert has been resolved.
 */
export function announce(
  incident: Incident,
  alerts: readonly Alert[],
  { settings, nowMs }: { readonly settings: AnnounceSettings; readonly nowMs: number },
): Announcement | undefined {
  const lead = worstOf(alerts)
  if (lead === undefined) return undefined
  const next = (type: NotificationType, waitMs: number): Announcement => ({
    number: incident.announcements + 1,
    type,
    lead,
    dueAt: new Date(nowMs + waitMs),
  })
  const { announcedSeverity, lastAnnouncedAt } = incident
  if (alerts.every((alert) => alert.status === 'resolved')) {
    return announcedSeverity === undefined ? undefined : next('alert.resolved', 0)
  }
  if (announcedSeverity === undefined || lastAnnouncedAt === undefined)
    return next('alert.opened', settings.groupWaitMs)
  if (severityRank(lead.severity) > severityRank(announcedSeverity)) {
    // Still waiting for its group: the same message will tell it; only the channels of the worse severity join.
    if (nowMs < lastAnnouncedAt.getTime()) {
      return { number: incident.announcements, type: 'alert.opened', lead, dueAt: lastAnnouncedAt }
    }
    return next('alert.opened', 0)
  }
  const firing = alerts.some((alert) => alert.status === 'firing')
  if (firing && nowMs - lastAnnouncedAt.getTime() >= settings.repeatIntervalMs)
    return next('alert.repeated', 0)
  return undefined
}

/** The alert that leads: open before resolved, then the worst, then the oldest. */
export function worstOf(alerts: readonly Alert[]): Alert | undefined {
  return alerts.toSorted(byWorst)[0]
}

export function byWorst(a: Alert, b: Alert): number {
  return (
    Number(a.status === 'resolved') - Number(b.status === 'resolved') ||
    severityRank(b.severity) - severityRank(a.severity) ||
    a.openedAt.getTime() - b.openedAt.getTime() ||
    a.id.localeCompare(b.id)
  )
}

/** The severity to record as announced. */
export function announcedSeverity(incident: Incident, announcement: Announcement): Severity {
  return worse(announcement.lead.severity, incident.announcedSeverity ?? 'info')
}
