import { HOUR_MS } from '../usage/duration.ts'
import { severityRank, type DetectorName, type Evidence, type Finding, type Severity } from './finding.ts'

/** What a piece of evidence is about. Evidence of one kind does not corroborate itself: a journey is one event. */
export type EvidenceKind = 'volume' | 'place' | 'time' | 'model' | 'address' | 'refusal' | 'dormancy'

/** An alert that was opened, or found again, on the same key. */
export interface EarlierEvidence {
  readonly detector: DetectorName
  readonly scope: string
  readonly severity: Severity
  readonly evidence: Evidence
  readonly lastSeenAt: Date
}

/** Evidence this old still speaks about what is found now. */
export const CORROBORATION_MS = HOUR_MS

/** Limits, ages and lists of the operator are no evidence of abuse: they have no kind. */
const KINDS: Partial<Record<string, EvidenceKind>> = {
  volume_spike: 'volume',
  unusual_geo: 'place',
  impossible_travel: 'place',
  unusual_hour: 'time',
  unfamiliar_model: 'model',
  model_probe: 'model',
  distinct_addresses: 'address',
  error_rate: 'refusal',
  dormant_key: 'dormancy',
}

/**
 * Raises graded findings of one key by what else is found on it within the hour. A warning that an independent kind of
 * evidence agrees with is critical. Findings whose severity the operator fixed count as evidence and stay as they are, and
 * so does what is merely odd (`info`): two oddities are a journey, or a release, more often than a thief.
 * `isGraded` tells whether a detector's severity is `auto`.
 */
export function corroborate(
  findings: readonly Finding[],
  earlier: readonly EarlierEvidence[],
  { nowMs, isGraded }: { readonly nowMs: number; readonly isGraded: (detector: DetectorName) => boolean },
): readonly Finding[] {
  if (!findings.some(({ severity, detector }) => severity === 'warning' && isGraded(detector)))
    return findings
  const evidence = [
    ...findings,
    ...earlier.filter(({ lastSeenAt }) => nowMs - lastSeenAt.getTime() <= CORROBORATION_MS),
  ]
  return findings.map((finding) => {
    if (finding.severity !== 'warning' || !isGraded(finding.detector)) return finding
    const others = evidence.filter((other) => agrees(finding, other)).map(({ detector }) => detector)
    if (others.length === 0) return finding
    return {
      ...finding,
      severity: 'critical',
      evidence: { ...finding.evidence, corroborated_by: [...new Set(others)].toSorted() },
    }
  })
}

type Piece = Pick<Finding, 'detector' | 'scope' | 'severity' | 'evidence'>

function agrees(finding: Piece, other: Piece): boolean {
  const kind = evidenceKind(finding)
  const otherKind = evidenceKind(other)
  if (kind === undefined || otherKind === undefined || kind === otherKind) return false
  if (kind === 'address' && otherKind === 'place') return !mayBeMove(other)
  if (kind === 'place' && otherKind === 'address') return !mayBeMove(finding)
  const isWeak = severityRank(other.severity) < severityRank('warning')
  // Whoever travels works at other hours, and has rested on the way: these are one event unless each is strong by itself.
  const isJourney = kind === 'dormancy' && otherKind === 'place'
  return !(isWeak && (otherKind === 'time' || kind === 'time' || isJourney))
}

/**
 * True for evidence of place that a move brings as well. Whoever is elsewhere has another address, and one that is moved
 * little by little adds to the work of the old ones for a while: only a trip to where the fleet is not at home agrees with that.
 */
function mayBeMove({ detector, evidence }: Piece): boolean {
  return detector !== 'impossible_travel' || evidence['keys_at_home_there'] !== 0
}

/** What the evidence is about; undefined for limits and lists of the operator, which are none. */
export function evidenceKind({
  detector,
  scope,
}: Pick<Finding, 'detector' | 'scope'>): EvidenceKind | undefined {
  return detector === 'volume_spike' && scope === 'new_addresses' ? 'address' : KINDS[detector]
}
