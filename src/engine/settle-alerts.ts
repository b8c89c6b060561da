import type { Alert } from '../alert/alert.ts'
import type { Mute } from '../alert/mute.ts'
import { isQuiet } from '../alert/triage.ts'
import { closingSettings } from '../detect/closing-settings.ts'
import type { DetectorName, Finding } from '../detect/finding.ts'
import type { Detector, DetectorSettings } from '../detect/detector.ts'
import type { Prior } from '../detect/prior.ts'
import type { Profile } from '../detect/profile.ts'
import type { KeyUsage } from '../usage/key-usage.ts'

/** When an alert that is not found any more is over, and what keeps people from being told. */
export interface Lifecycle {
  /** An open alert is held until its key is below this share of the thresholds that opened it. */
  readonly closeAt: number
  /** Ticks in a row that must have looked for it and not found it. */
  readonly cleanEvaluations: number
  /** The maintenance windows that are open. */
  readonly mutesAt: (nowMs: number) => readonly Mute[]
}

/** What became of the open alerts that a tick did not find. */
export interface Settled {
  /** Over. */
  readonly resolved: readonly string[]
  /** Not found by the thresholds that open, found by those that close. */
  readonly held: readonly string[]
  /** Not found, and not yet long or often enough. */
  readonly clean: readonly string[]
}

/** Sorts the open alerts that were not found. `isHeld` says whether the key is still above the closing thresholds. */
export function settleAlerts(
  missed: readonly Alert[],
  {
    resolveAfterMs,
    cleanEvaluations,
    isHeld,
    nowMs,
  }: {
    readonly resolveAfterMs: number
    readonly cleanEvaluations: number
    readonly isHeld: (alert: Alert) => boolean
    readonly nowMs: number
  },
): Settled {
  const settled = { resolved: [] as string[], held: [] as string[], clean: [] as string[] }
  for (const alert of missed) {
    if (isHeld(alert)) {
      settled.held.push(alert.id)
      continue
    }
    const { cleanEvaluations: before = Infinity, evidence } = alert
    // What ends at a known time ends then: nothing has to be looked for.
    const isClean = before + 1 >= cleanEvaluations || evidence.ends_at !== undefined
    if (isClean && isQuiet(alert, resolveAfterMs, nowMs)) settled.resolved.push(alert.id)
    else if (before < cleanEvaluations) settled.clean.push(alert.id)
  }
  return settled
}

/** True when the alert's detector, held to its closing thresholds, still finds it on the key. */
export function isAboveClosing(
  alert: Alert,
  {
    usage,
    profile,
    prior,
    nowMs,
    detectors,
    settings,
    closeAt,
    onError,
  }: {
    readonly usage: KeyUsage
    readonly profile: Profile
    readonly prior?: Prior | undefined
    readonly nowMs: number
    readonly detectors: readonly Detector[]
    readonly settings: ReadonlyMap<DetectorName, DetectorSettings>
    readonly closeAt: number
    readonly onError: (error: unknown) => void
  },
): boolean {
  const detector = detectors.find(({ name }) => name === alert.detector)
  const opening = settings.get(alert.detector)
  if (detector === undefined || opening?.enabled !== true) return false
  const closing = closingSettings(alert.detector, opening, closeAt)
  if (closing === undefined) return false
  const isSame = ({ scope }: Finding): boolean => scope === alert.scope
  try {
    return detector.detect({ usage, profile, prior, settings: closing, nowMs }).some(isSame)
  } catch (error) {
    onError(error)
    return false
  }
}
