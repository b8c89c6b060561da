import { formatDuration } from '../usage/duration.ts'
import { worstOf, type Announcement, type Incident } from './announce.ts'
import type { Alert } from './alert.ts'
import type { EscalationStep } from './route.ts'

/**
 * Whom to tell further because nobody has acknowledged the incident in time; undefined when nothing is due. Awaited is an
 * answer to its worst alert that can be heard. Each step is carried out once, and again after the incident became worse
 * or came out of a silence.
 */
export function escalate(
  incident: Incident,
  alerts: readonly Alert[],
  { steps, nowMs }: { readonly steps: readonly EscalationStep[]; readonly nowMs: number },
): { readonly announcement: Announcement; readonly channels: readonly string[] } | undefined {
  const lead = worstOf(alerts)
  if (lead === undefined) return undefined
  const due = openSteps(incident, alerts, steps).filter(({ dueMs }) => dueMs <= nowMs)
  if (due.length === 0) return undefined
  const escalatedMs = Math.max(...due.map(({ step }) => step.afterMs))
  return {
    announcement: {
      number: incident.announcements + 1,
      type: 'alert.repeated',
      cause: 'unanswered',
      lead,
      dueAt: new Date(nowMs),
      reason: `nobody acknowledged it within ${formatDuration(escalatedMs)}`,
      escalatedMs,
    },
    channels: [...new Set(due.flatMap(({ step }) => step.channels))],
  }
}

/** When the next step is due if nobody acknowledges; Infinity when none is left. */
export function escalationDueMs(
  incident: Incident,
  alerts: readonly Alert[],
  steps: readonly EscalationStep[],
): number {
  return Math.min(Infinity, ...openSteps(incident, alerts, steps).map(({ dueMs }) => dueMs))
}

function openSteps(
  { toldAt, escalatedMs = 0 }: Incident,
  alerts: readonly Alert[],
  steps: readonly EscalationStep[],
): { readonly step: EscalationStep; readonly dueMs: number }[] {
  if (toldAt === undefined || worstOf(alerts)?.status !== 'firing') return []
  return steps
    .filter(({ afterMs }) => afterMs > escalatedMs)
    .map((step) => ({ step, dueMs: toldAt.getTime() + step.afterMs }))
}
