import type { Alert } from '../../alert/alert.ts'
import { triage } from '../../alert/triage.ts'
import { LIMIT_DETECTORS, severityRank, type Finding } from '../../detect/finding.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { TickDecisions, TickOutcome } from '../engine-store.ts'

const NOTHING: TickOutcome = { opened: [], escalated: [], resolved: [] }

/** Alerts and incidents in memory: one open alert per detector, key and scope. */
export class AlertBook {
  readonly #open = new Map<string, Alert>()
  /** All alerts of open incidents, and the resolved ones for as long as their hours may still be learnt. */
  readonly #alertsOfKey = new Map<string, Alert[]>()
  /** The open alerts of each open incident, and the incident of each group that has one. Nothing is announced. */
  readonly #incidents = new Map<string, { readonly groupKey: string; readonly openAlerts: Set<string> }>()
  readonly #incidentOfGroup = new Map<string, string>()
  #serial = 0

  /** True when none is open. */
  get isEmpty(): boolean {
    return this.#open.size === 0
  }

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

  commit({ nowMs, findings, held = [], resolved }: TickDecisions): TickOutcome {
    if (findings.length + held.length + resolved.length === 0) return NOTHING
    const at = new Date(nowMs)
    const outcome = { opened: [] as Alert[], escalated: [] as Alert[], resolved: [] as Alert[] }
    for (const { finding, groupKey } of findings) {
      const decision = triage(finding, this.#open.get(identityOf(finding)))
      const alert =
        decision.kind === 'open'
          ? this.#opened(decision.finding, groupKey, at)
          : updated(decision.alert, decision.finding, at)
      if (decision.kind === 'open') outcome.opened.push(alert)
      else if (decision.escalates) outcome.escalated.push(alert)
      this.#keep(alert)
    }
    for (const id of held) {
      const open = this.#openOfId(id)
      if (open !== undefined) this.#keep({ ...open, lastSeenAt: at })
    }
    for (const id of resolved) {
      const open = this.#openOfId(id)
      if (open !== undefined) outcome.resolved.push(this.#resolve(open, at))
    }
    return outcome
  }

  #openOfId(id: string): Alert | undefined {
    for (const alert of this.#open.values()) if (alert.id === id) return alert
    return undefined
  }

  #opened(finding: Finding, groupKey: string, at: Date): Alert {
    const { detector, keyId, scope, severity, summary, evidence } = finding
    let incidentId = this.#incidentOfGroup.get(groupKey)
    if (incidentId === undefined) {
      incidentId = this.#nextId()
      this.#incidentOfGroup.set(groupKey, incidentId)
      this.#incidents.set(incidentId, { groupKey, openAlerts: new Set() })
    }
    const id = this.#nextId()
    this.#incidents.get(incidentId)?.openAlerts.add(id)
    return {
      id,
      incidentId,
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

  /** Closes the incident with its last alert. */
  #resolve(open: Alert, at: Date): Alert {
    const alert: Alert = { ...open, status: 'resolved', resolvedAt: at }
    this.#keep(alert)
    const incident = this.#incidents.get(alert.incidentId)
    incident?.openAlerts.delete(alert.id)
    if (incident?.openAlerts.size === 0) {
      this.#incidents.delete(alert.incidentId)
      this.#incidentOfGroup.delete(incident.groupKey)
    }
    return alert
  }

  #keep(alert: Alert): void {
    if (alert.status === 'resolved') this.#open.delete(identityOf(alert))
    else this.#open.set(identityOf(alert), alert)
    const alerts = this.#alertsOfKey.get(alert.keyId) ?? []
    const index = alerts.findIndex(({ id }) => id === alert.id)
    if (index < 0) alerts.push(alert)
    else alerts[index] = alert
    this.#alertsOfKey.set(alert.keyId, alerts)
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
