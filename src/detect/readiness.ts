import { calibrationOf, type Calibration } from './alert-budget.ts'
import type { Detector, DetectorSettings } from './detector.ts'
import type { DetectorName } from './finding.ts'
import { learningChecks } from './learning-checks.ts'
import { priorToJson, type Prior } from './prior.ts'
import type { Profile } from './profile.ts'
import type { Check } from './trace.ts'

/** Whether a detector judges a key yet, and what its findings are held against. */
export interface Readiness {
  readonly detector: DetectorName
  readonly state: 'off' | 'learning' | 'judging'
  /** What is missing of the learning period. */
  readonly missing: readonly Check[]
  /** What it judges the key by until then; undefined when that is unknown, when it uses none, and when nothing is missing. */
  readonly judgedBy: Prior | undefined
  /** For detectors within the alert budget. */
  readonly calibration: Calibration | undefined
}

/** How far each detector is with a key, in the order of `detectors`. */
export function readiness(
  {
    profile,
    prior,
    nowMs,
  }: { readonly profile: Profile; readonly prior?: Prior | undefined; readonly nowMs: number },
  detectors: readonly Detector[],
  settingsOf: ReadonlyMap<DetectorName, DetectorSettings>,
): Readiness[] {
  return detectors.map(({ name, usesPrior }) => {
    const settings = settingsOf.get(name)
    if (settings?.enabled !== true)
      return { detector: name, state: 'off', missing: [], judgedBy: undefined, calibration: undefined }
    const missing = learningChecks(name, { profile, nowMs }, settings).filter(({ holds }) => !holds)
    return {
      detector: name,
      state: missing.length > 0 ? 'learning' : 'judging',
      missing,
      judgedBy: missing.length > 0 && usesPrior === true ? prior : undefined,
      calibration: calibrationOf(name, settings, profile),
    }
  })
}

/** As `GET /keys/{key_id}` shows it. */
export function readinessToJson({ detector, state, missing, judgedBy, calibration }: Readiness): object {
  return {
    detector,
    state,
    missing: missing.map(({ what, observed, needed }) => ({ what, observed, needed })),
    ...(state === 'learning' ? { judged_by: judgedBy === undefined ? null : priorToJson(judgedBy) } : {}),
    ...(calibration === undefined ? {} : calibrationToJson(calibration)),
  }
}

/** As the evidence of alerts names it. */
export function calibrationToJson(calibration: Calibration): CalibrationJson {
  const { threshold, falseAlertsPer100KeyDays, scale } = calibration
  return {
    score_for_warning: threshold,
    false_alerts_per_100_key_days: Number(falseAlertsPer100KeyDays.toPrecision(4)),
    tail_scale: scale ?? null,
  }
}

export interface CalibrationJson {
  readonly score_for_warning: number
  readonly false_alerts_per_100_key_days: number
  readonly tail_scale: number | null
}
