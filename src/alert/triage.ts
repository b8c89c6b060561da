import { severityRank, type Finding, type Severity } from '../detect/finding.ts'
import type { Alert } from './alert.ts'

/** What a finding means for the alert that may already be open. */
export type Triage =
  | { readonly kind: 'open'; readonly finding: Finding }
  | { readonly kind: 'update'; readonly alert: Alert; readonly finding: Finding; readonly escalates: boolean }

/**
 * Decides what one finding does: the first opens an alert; later ones update it. An open alert never becomes milder
 * while it is open, so that what was announced stays true, and a milder finding does not replace what it tells.
 */
export function triage(finding: Finding, open: Alert | undefined): Triage {
  if (open === undefined) return { kind: 'open', finding }
  return {
    kind: 'update',
    alert: open,
    finding: isMilder(finding, open)
      ? { ...finding, severity: open.severity, summary: open.summary, evidence: open.evidence }
      : finding,
    escalates: isMilder(open, finding),
  }
}

function isMilder(a: Pick<Finding, 'severity'>, b: Pick<Finding, 'severity'>): boolean {
  return severityRank(a.severity) < severityRank(b.severity)
}

/** True when an open alert that is not found at `nowMs` is over. */
export function isQuiet(alert: Alert, resolveAfterMs: number, nowMs: number): boolean {
  return alert.status !== 'resolved' && nowMs >= quietFromMs(alert, resolveAfterMs)
}

/**
 * When an alert that is not found again is over: after `resolveAfterMs` without a finding, unless its evidence says that
 * it lasts (`holds_until`) or when it ends (`ends_at`).
 */
export function quietFromMs(
  { lastSeenAt, evidence }: Pick<Alert, 'lastSeenAt' | 'evidence'>,
  resolveAfterMs: number,
): number {
  const quietMs = lastSeenAt.getTime() + resolveAfterMs
  if (evidence.ends_at !== undefined) return instantOf(evidence.ends_at) ?? quietMs
  if (evidence.holds_until !== undefined) return Math.max(quietMs, instantOf(evidence.holds_until) ?? quietMs)
  return quietMs
}

function instantOf(text: string): number | undefined {
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : atMs
}

export function worse(a: Severity, b: Severity): Severity {
  return severityRank(a) >= severityRank(b) ? a : b
}
