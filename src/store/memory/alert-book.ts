import type { Alert } from '../../alert/alert.ts'
import { announcedSeverity, type Incident } from '../../alert/announce.ts'
import { triage } from '../../alert/triage.ts'
import { LIMIT_DETECTORS, severityRank, type Finding } from '../../detect/finding.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { KeyAttributes } from '../../usage/event.ts'
import type { AnnouncementPlanner, TickDecisions, TickOutcome } from '../engine-store.ts'

/** Alerts and incidents in memory: one open alert per detector, key and scope. */
export class AlertBook {
  readonly #open = new Map<string, Alert>()
  /** All alerts of open incidents, and the resolved ones for as long as their hours may still be learnt. */
  readonly #alertsOfKey = new Map<string, Alert[]>()
  readonly #incidents = new Map<
    string,
    { incident: Incident; alerts: Map<string, Alert>; keys: Map<string, KeyAttributes> }
  >()
  #serial = 0

  open(): Alert[] {
    return [...this.#open.values()]
  }

  /** True when an alert of severity warning or worse, not of a limit, was open on the key within the hour. */
  isSuspect(keyId: string, hourMs: number): boolean {
    return (this.#alertsOfKey.get(keyId) ?? []).some(
      ({ detector, severity, openedAt, resolvedAt }) =>
        !LIMIT_DETECTORS.includes(detector) &&
        severityRank(severity) >= severityRank('warning') &&
        openedAt.getTime() < hourMs + HOUR_MS &&
        (resolvedAt === undefined || resolvedAt.getTime() > hourMs),
    )
  }

  /** Forgets resolved alerts of the key that no hour from `hourMs` on can touch. */
  forgetBefore(keyId: string, hourMs: number): void {
    const alerts = this.#alertsOfKey.get(keyId)
    if (alerts === undefined) return
    const kept = alerts.filter(({ resolvedAt }) => resolvedAt === undefined || resolvedAt.getTime() > hourMs)
    if (kept.length === 0) this.#alertsOfKey.delete(keyId)
    else this.#alertsOfKey.set(keyId, kept)
  }

  commit(decisions: TickDecisions, plan: AnnouncementPlanner): TickOutcome {
    const at = new Date(decisions.nowMs)
    const outcome = { opened: [] as Alert[], escalated: [] as Alert[], resolved: [] as Alert[] }
    const touched = new Set<string>()
    for (const { finding, key, groupKey } of decisions.findings) {
      const decision = triage(finding, this.#open.get(identityOf(finding)))
      const alert =
        decision.kind === 'open'
          ? this.#opened(decision.finding, groupKey, at)
          : updated(decision.alert, decision.finding, at)
      if (decision.kind === 'open') outcome.opened.push(alert)
      else if (decision.escalates) outcome.escalated.push(alert)
      this.#keep(alert, key)
      touched.add(alert.incidentId)
    }
    for (const id of decisions.resolved) {
      const open = this.open().find((alert) => alert.id === id)
      if (open === undefined) continue
      const alert: Alert = { ...open, status: 'resolved', resolvedAt: at }
      this.#keep(alert)
      outcome.resolved.push(alert)
      touched.add(alert.incidentId)
    }
    for (const incidentId of touched) this.#announce(incidentId, plan)
    return outcome
  }

  #opened(finding: Finding, groupKey: string, at: Date): Alert {
    const standing = [...this.#incidents.values()].find(({ incident }) => incident.groupKey === groupKey)
    const incident = standing?.incident ?? {
      id: this.#nextId(),
      groupKey,
      openedAt: at,
      closedAt: undefined,
      announcedSeverity: undefined,
      lastAnnouncedAt: undefined,
      announcements: 0,
    }
    if (standing === undefined)
      this.#incidents.set(incident.id, { incident, alerts: new Map(), keys: new Map() })
    const { detector, keyId, scope, severity, summary, evidence } = finding
    return {
      id: this.#nextId(),
      incidentId: incident.id,
      detector,
      keyId,
      scope,
      severity,
      status: 'firing',
      openedAt: at,
      lastSeenAt: at,
      resolvedAt: undefined,
      occurrences: 1,
      summary,
      evidence,
    }
  }

  #keep(alert: Alert, key?: KeyAttributes): void {
    if (alert.status === 'resolved') this.#open.delete(identityOf(alert))
    else this.#open.set(identityOf(alert), alert)
    const others = (this.#alertsOfKey.get(alert.keyId) ?? []).filter(({ id }) => id !== alert.id)
    this.#alertsOfKey.set(alert.keyId, [...others, alert])
    const group = this.#incidents.get(alert.incidentId)
    group?.alerts.set(alert.id, alert)
    if (key !== undefined) group?.keys.set(key.keyId, key)
  }

  /** Counts announcements as the daemon does; nothing is sent. Closes the incident when its last alert is resolved. */
  #announce(incidentId: string, plan: AnnouncementPlanner): void {
    const group = this.#incidents.get(incidentId)
    if (group === undefined) return
    const planned = plan(group.incident, [...group.alerts.values()], group.keys)?.announcement
    if (planned !== undefined) {
      group.incident = {
        ...group.incident,
        announcedSeverity: announcedSeverity(group.incident, planned),
        lastAnnouncedAt: planned.dueAt,
        announcements: planned.number,
      }
    }
    const isOver = [...group.alerts.values()].every((alert) => alert.status === 'resolved')
    if (isOver) this.#incidents.delete(incidentId)
  }

  /** UUID-shaped and the same in every run. */
  #nextId(): string {
    this.#serial += 1
    return `00000000-0000-4000-8000-${String(this.#serial).padStart(12, '0')}`
  }
}

function updated(alert: Alert, finding: Finding, at: Date): Alert {
  const { severity, summary, evidence } = finding
  return { ...alert, severity, summary, evidence, lastSeenAt: at, occurrences: alert.occurrences + 1 }
}

function identityOf({ detector, keyId, scope }: Pick<Alert, 'detector' | 'keyId' | 'scope'>): string {
  return `${detector} ${scope} ${keyId}`
}
