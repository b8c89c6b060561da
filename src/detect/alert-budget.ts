import type { DetectorSettings } from './detector.ts'
import type { DetectorName, Finding } from './finding.ts'
import type { Profile } from './profile.ts'
import { scoreOfRate } from './score.ts'
import { hourScale } from './surprise-habit.ts'
import { volumeScale } from './volume-test.ts'

/** False alerts of severity warning and up that an operator puts up with, of all graded detectors together. */
export const FALSE_ALERTS_PER_100_KEY_DAYS = 0.5

/**
 * How the fleet's budget is shared out: the parts of the detectors whose findings can be warnings without a rule of the
 * operator's. Unequal, because a false alert buys more recall with some than with others, measured on the evaluation fleets.
 */
export const BUDGET_PARTS: Partial<Record<DetectorName, number>> = {
  volume_spike: 0.25,
  impossible_travel: 0.35,
  unusual_hour: 0.15,
  unfamiliar_model: 0.1,
  model_probe: 0.05,
  dormant_key: 0.1,
}

/** One detector's part of a fleet's budget; undefined for a detector that has none. */
export function partOf(detector: DetectorName, falseAlertsPer100KeyDays: number): number | undefined {
  const part = BUDGET_PARTS[detector]
  return part === undefined ? undefined : part * falseAlertsPer100KeyDays
}

/** What a finding is held against, for the evidence and for whoever asks why a key is not alerted. */
export interface Calibration {
  /** The score from which a finding is a warning. */
  readonly threshold: number
  /** The false alerts per 100 key-days from which that follows. */
  readonly falseAlertsPer100KeyDays: number
  /** By how much the tails of the key's own past are longer than the model's; undefined for detectors that count the key's own events. */
  readonly scale: number | undefined
}

/** The calibration of a detector for one key; undefined for detectors whose severity the operator fixed, and for his limits. */
export function calibrationOf(
  detector: DetectorName,
  settings: DetectorSettings,
  profile: Profile,
): Calibration | undefined {
  const part = partOf(detector, FALSE_ALERTS_PER_100_KEY_DAYS)
  if (settings.severity !== 'auto' || part === undefined) return undefined
  const budget = settings.false_alerts_per_100_key_days ?? part
  return {
    threshold: scoreOfRate(budget / 100),
    falseAlertsPer100KeyDays: budget,
    scale: scaleOf(detector, profile),
  }
}

function scaleOf(detector: DetectorName, profile: Profile): number | undefined {
  if (detector === 'volume_spike') return Math.round(100 * volumeScale(profile)) / 100
  if (detector === 'unusual_hour') return Math.round(100 * hourScale(profile)) / 100
  return undefined
}

/**
 * The finding within the alert budget: a warning that happens to the key by itself more often than the budget allows is
 * `info`. Its score, the threshold and the calibration are added to the evidence.
 */
export function withinBudget(finding: Finding, calibration: Calibration | undefined): Finding {
  const { score } = finding
  if (score === undefined) return finding
  if (calibration === undefined) return { ...finding, evidence: { ...finding.evidence, score } }
  const { threshold, scale } = calibration
  const isRare = score >= threshold
  return {
    ...finding,
    severity: finding.severity === 'warning' && !isRare ? 'info' : finding.severity,
    evidence: {
      ...finding.evidence,
      score,
      score_for_warning: threshold,
      ...(scale === undefined ? {} : { tail_scale: scale }),
    },
  }
}

/**
 * By how much the budget moves what a detector asks for, as a change of ln of the chance that it tolerates: tails of use
 * are TAIL_NATS times as long as a model says, so a budget of four times as many alerts takes so many times ln 4.
 */
export function budgetNats(detector: DetectorName, settings: DetectorSettings): number {
  const part = partOf(detector, FALSE_ALERTS_PER_100_KEY_DAYS)
  const budget = settings.false_alerts_per_100_key_days
  return part === undefined || budget === undefined ? 0 : TAIL_NATS * Math.log(budget / part)
}
const TAIL_NATS = 3
