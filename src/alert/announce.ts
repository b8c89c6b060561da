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
  /** Since when an answer is awaited: its last announcement that was no repeat. */
  readonly toldAt?: Date | undefined
  /** Repeats since `toldAt`. */
  readonly repeats?: number | undefined
  /** The longest `escalate.after` that was carried out since `toldAt`. */
  readonly escalatedMs?: number | undefined
}

export interface AnnounceSettings {
  readonly groupWaitMs: number
  readonly repeatIntervalMs: number
  /** Each repeat waits so many times as long as the one before; 1 when absent. */
  readonly repeatBackoff?: number | undefined
  /** No repeat waits longer. */
  readonly repeatMaxMs?: number | undefined
}

/** What gave rise to an announcement. */
export type AnnouncementCause = 'opened' | 'worse' | 'released' | 'repeat' | 'unanswered' | 'resolved'

/** A message that is due about an incident. Its number, with the incident and the channel, makes it unique. */
export interface Announcement {
  readonly number: number
  readonly type: NotificationType
  readonly cause: AnnouncementCause
  readonly lead: Alert
  readonly dueAt: Date
  /** Why it is sent, when no finding explains it. */
  readonly reason?: string | undefined
  /** For `unanswered`: the `escalate.after` that it carries out. */
  readonly escalatedMs?: number | undefined
}

/**
 * Decides whether the incident must be told about now: when it opens (after `groupWaitMs`, so that what is found
 * within it shares the message), when it becomes worse than what was told, when what a silence, a maintenance window
 * or an acknowledgement kept quiet is still open after it, at growing intervals while it is firing, and when its last
 * alert has been resolved. Silenced alerts count for nothing, and what was never told is not told to be over.
 */
export function announce(
  incident: Incident,
  alerts: readonly Alert[],
  { settings, nowMs }: { readonly settings: AnnounceSettings; readonly nowMs: number },
): Announcement | undefined {
  const lead = worstOf(alerts)
  if (lead === undefined) return undefined
  const { announcedSeverity, lastAnnouncedAt, announcements } = incident
  const isTold = announcedSeverity !== undefined && lastAnnouncedAt !== undefined
  if (alerts.every((alert) => alert.status === 'resolved')) {
    if (!isTold) return undefined
    return {
      number: announcements + 1,
      type: 'alert.resolved',
      cause: 'resolved',
      lead,
      dueAt: new Date(nowMs),
    }
  }
  const firing = alerts.filter((alert) => alert.status === 'firing')
  if (firing.length === 0) return undefined
  const next = (cause: AnnouncementCause, dueMs = nowMs): Announcement => ({
    number: announcements + 1,
    type: cause === 'repeat' || (cause === 'released' && isTold) ? 'alert.repeated' : 'alert.opened',
    cause,
    lead,
    dueAt: new Date(dueMs),
    reason: reasonOf(firing, lastAnnouncedAt),
  })
  const isReleased = reasonOf(firing, lastAnnouncedAt) !== undefined
  if (!isTold) return isReleased ? next('released') : next('opened', nowMs + settings.groupWaitMs)
  if (severityRank(lead.severity) > severityRank(announcedSeverity)) {
    // Still waiting for its group: the same message will tell it; only the channels of the worse severity join.
    if (nowMs < lastAnnouncedAt.getTime()) {
      return { ...next('worse', lastAnnouncedAt.getTime()), number: announcements }
    }
    return next('worse')
  }
  if (isReleased) return next('released')
  return nowMs >= repeatDueMs(incident, settings) ? next('repeat') : undefined
}

/** Why what fires is told now, when it was kept quiet since the last announcement. */
function reasonOf(firing: readonly Alert[], lastAnnouncedAt: Date | undefined): string | undefined {
  const toldMs = lastAnnouncedAt?.getTime() ?? -Infinity
  const released = firing.filter(
    ({ releasedAt }) => releasedAt !== undefined && releasedAt.getTime() > toldMs,
  )
  return released.toSorted(byWorst)[0]?.releaseReason
}

/** When the incident is to be told again if nothing changes; Infinity before its first announcement. */
export function repeatDueMs(
  { lastAnnouncedAt, repeats = 0 }: Incident,
  { repeatIntervalMs, repeatBackoff = 1, repeatMaxMs = Infinity }: AnnounceSettings,
): number {
  if (lastAnnouncedAt === undefined) return Infinity
  const longest = Math.max(repeatIntervalMs, repeatMaxMs)
  return lastAnnouncedAt.getTime() + Math.min(repeatIntervalMs * repeatBackoff ** repeats, longest)
}

/** The incident after an announcement was made. */
export function withAnnouncement(incident: Incident, announcement: Announcement): Incident {
  const { number, cause, lead, dueAt, escalatedMs } = announcement
  const told: Incident = {
    ...incident,
    announcedSeverity: worse(lead.severity, incident.announcedSeverity ?? 'info'),
    // The number of a message that still waits is given again, for the channels that join it.
    announcements: Math.max(incident.announcements, number),
  }
  switch (cause) {
    case 'opened':
    case 'worse':
    case 'released':
      return { ...told, lastAnnouncedAt: dueAt, toldAt: dueAt, repeats: 0, escalatedMs: 0 }
    case 'repeat':
      return { ...told, lastAnnouncedAt: dueAt, repeats: (incident.repeats ?? 0) + 1 }
    case 'unanswered':
      return { ...told, escalatedMs }
    case 'resolved':
      return { ...told, lastAnnouncedAt: dueAt }
    default:
      return cause satisfies never
  }
}

/** True for what a message may speak of: neither silenced, nor over without anybody having been told. */
export function isHeard({ status, announcedAt }: Alert): boolean {
  return status === 'resolved' ? announcedAt !== undefined : status !== 'silenced'
}

/** The alert that leads: open before silenced before resolved, what was told first, then the worst, then the oldest. */
export function worstOf(alerts: readonly Alert[]): Alert | undefined {
  return alerts.toSorted(byWorst)[0]
}

export function byWorst(a: Alert, b: Alert): number {
  return (
    quietness(a) - quietness(b) ||
    severityRank(b.severity) - severityRank(a.severity) ||
    a.openedAt.getTime() - b.openedAt.getTime() ||
    a.id.localeCompare(b.id)
  )
}

/** What is over and was never told comes last: it must not lead the message that something is over. */
function quietness({ status, announcedAt }: Alert): number {
  if (status === 'silenced') return 1
  if (status === 'resolved') return announcedAt === undefined ? 3 : 2
  return 0
}
