import type { KeyUsage } from '../usage/key-usage.ts'
import { calibrationOf, withinBudget, type Calibration } from './alert-budget.ts'
import type { Detector, DetectorSettings } from './detector.ts'
import type { DetectorName, Finding } from './finding.ts'
import { learningChecks } from './learning-checks.ts'
import { priorInWords, type Prior, type Site } from './prior.ts'
import type { Profile } from './profile.ts'
import { Trace, type Check } from './trace.ts'

/** What one detector said of a key at a time, and why it said no more. */
export interface Explanation {
  readonly detector: DetectorName
  /**
   * fired; off: disabled for this key; learning: the key is not known well enough; not_applicable: nothing to judge (no
   * limit is set, no address is known); below_floor: too little to matter; usual: nothing unusual; failed: it threw.
   */
  readonly verdict: 'fired' | 'off' | 'learning' | 'not_applicable' | 'below_floor' | 'usual' | 'failed'
  /** One sentence: the finding's, or what was missing. Plain text; may hold text that an attacker chose. */
  readonly because: string
  /** The score from which it is a warning, and what that rests on; for detectors within the alert budget. */
  readonly calibration?: Calibration | undefined
  /**
   * The comparisons behind it, in the order in which they were made. Empty for a detector that notes none: then only its
   * learning state and its findings are known.
   */
  readonly checks: readonly Check[]
  readonly findings: readonly Finding[]
}

/** What a key is judged by: as a tick has it. */
export interface Judged {
  readonly usage: KeyUsage
  readonly profile: Profile
  /** The habit of its team or fleet, which speaks while the key is being learnt. */
  readonly prior?: Prior | undefined
  readonly sites?: readonly Site[] | undefined
  readonly nowMs: number
}

/**
 * Why every detector fired or did not, for one key at one time, in the order of `detectors`. It runs the detectors'
 * own `detect`, so it says what a tick at that time would have said. Never throws: a detector that does is `failed`.
 */
export function explain(
  judged: Judged,
  detectors: readonly Detector[],
  settingsOf: ReadonlyMap<DetectorName, DetectorSettings>,
): Explanation[] {
  return detectors.map((detector) => explainOne(detector, judged, settingsOf.get(detector.name)))
}

function explainOne(detector: Detector, judged: Judged, settings: DetectorSettings | undefined): Explanation {
  const base = { detector: detector.name, checks: [], findings: [] }
  if (settings?.enabled !== true) {
    const because = `switched off: detectors.${detector.name}.enabled: false`
    return { ...base, verdict: 'off', because }
  }
  const trace = new Trace()
  trace.checks.push(...learningChecks(detector.name, judged, settings))
  try {
    const calibration = calibrationOf(detector.name, settings, judged.profile)
    const findings = detector
      .detect({ ...judged, settings }, trace)
      .map((finding) => withinBudget(finding, calibration))
    return {
      detector: detector.name,
      ...verdictOf(findings, trace.checks, detector.usesPrior === true ? judged.prior : undefined),
      calibration,
      checks: trace.checks,
      findings,
    }
  } catch (error) {
    return { ...base, verdict: 'failed', because: `failed: ${String(error)}`, checks: trace.checks }
  }
}

function verdictOf(
  findings: readonly Finding[],
  checks: readonly Check[],
  prior: Prior | undefined,
): Pick<Explanation, 'verdict' | 'because'> {
  const [first] = findings
  if (first !== undefined) return { verdict: 'fired', because: first.summary }
  const missing = checks.find((check) => check.kind === 'learning' && !check.holds) ?? decisive(checks)
  if (missing === undefined) return { verdict: 'usual', because: 'nothing unusual' }
  const setting = missing.setting === undefined ? '' : ` (${missing.setting})`
  return {
    verdict: VERDICTS[missing.kind],
    because:
      `${missing.what}: ${shown(missing.observed)}; needed: ${missing.needed}${setting}` +
      (missing.kind === 'learning' && prior !== undefined
        ? `; until then judged by ${priorInWords(prior)}`
        : ''),
  }
}

const VERDICTS = {
  learning: 'learning',
  applies: 'not_applicable',
  floor: 'below_floor',
  unusual: 'usual',
} as const satisfies Record<Check['kind'], Explanation['verdict']>
const ORDER: readonly Check['kind'][] = ['learning', 'applies', 'floor', 'unusual']

/** Of several subjects the one that came furthest towards an alert tells most: its last check is the one that failed. */
function decisive(checks: readonly Check[]): Check | undefined {
  return checks
    .filter((check) => !check.holds)
    .toSorted((a, b) => ORDER.indexOf(b.kind) - ORDER.indexOf(a.kind))[0]
}

function shown(value: Check['observed']): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
