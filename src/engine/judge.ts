import type { Alert } from '../alert/alert.ts'
import { calibrationOf, withinBudget } from '../detect/alert-budget.ts'
import { CALM, endOfHour, isBeingLearnt, type Calm, type KeyCalm } from '../detect/calm.ts'
import { corroborate } from '../detect/corroborate.ts'
import type { Detector, DetectorSettings } from '../detect/detector.ts'
import type { DetectorName, Finding } from '../detect/finding.ts'
import { moneyAtRisk, weighMoney, type MoneySettings } from '../detect/money-at-risk.ts'
import { emptyProfile, type Profile } from '../detect/profile.ts'
import { isTaught } from '../detect/taught.ts'
import type { TickDecisions } from '../store/engine-store.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { priorsHoldUntil } from './priors.ts'
import type { Judged } from './standing.ts'

/** What the judgement of a key works with. */
export interface JudgingEngine {
  readonly detectors: readonly Detector[]
  /** The settings of every detector for a key, overrides applied. */
  readonly settingsFor: (key: KeyAttributes) => ReadonlyMap<DetectorName, DetectorSettings>
  /** The time zone in which a key's week is learnt. */
  readonly timeZoneFor: (key: KeyAttributes) => string
  /** Alerts with the same group key are announced together. */
  readonly groupKeyFor: (finding: Finding, key: KeyAttributes) => string
  /** What money says about severity; nothing when absent. */
  readonly money?: MoneySettings | undefined
  /**
   * True while nobody can say what keys do, because their usage does not arrive: quiet means nothing then. No alert is
   * resolved, and detectors that judge by what is missing hold their tongue.
   */
  readonly isBlind?: (() => boolean) | undefined
  /** A detector threw: told, and the other detectors and keys go on. */
  readonly onDetectorError: (failure: DetectorFailure) => void
}

export interface DetectorFailure {
  readonly detector: DetectorName
  readonly keyId: string
  readonly error: unknown
}

/** Runs every enabled detector over one key. A detector that throws costs its own judgement and no other. */
export function judge(
  engine: Pick<JudgingEngine, 'detectors' | 'settingsFor' | 'isBlind' | 'onDetectorError'>,
  { usage, profile, prior, sites, nowMs }: Omit<Judged, 'taught'>,
  onDetectorError = engine.onDetectorError,
): readonly Finding[] {
  const settingsOf = engine.settingsFor(usage.key)
  const isBlind = engine.isBlind?.() === true
  let findings: Finding[] | undefined
  // One object for all of them: they keep nothing of it, and there are many keys.
  const detection = { usage, profile, prior, sites, nowMs, settings: NO_SETTINGS }
  for (const { detector, settings } of switchedOn(engine.detectors, settingsOf)) {
    if (isBlind && detector.restsOnSilence === true) continue
    detection.settings = settings
    try {
      const found = detector.detect(detection)
      if (found.length === 0) continue
      const calibration = calibrationOf(detector.name, settings, profile)
      findings ??= []
      for (const finding of found) findings.push(withinBudget(finding, calibration))
    } catch (error) {
      onDetectorError({ detector: detector.name, keyId: usage.key.keyId, error })
    }
  }
  return findings ?? NOTHING_FOUND
}

/**
 * What the detectors say of a key of which none has just found anything: when they will go on to find nothing in this hour.
 * Undefined when one of them cannot tell.
 */
export function calmOf(
  engine: Pick<JudgingEngine, 'detectors' | 'settingsFor' | 'isBlind'>,
  { usage, profile, prior, sites, nowMs }: Omit<Judged, 'taught'>,
): KeyCalm | undefined {
  const isBlind = engine.isBlind?.() === true
  const conditions: Calm[] = []
  let untilMs = endOfHour(nowMs)
  const detection = { usage, profile, prior, sites, nowMs, settings: NO_SETTINGS }
  for (const { detector, settings } of switchedOn(engine.detectors, engine.settingsFor(usage.key))) {
    if (isBlind && detector.restsOnSilence === true) continue
    detection.settings = settings
    const isCalm = detector.calm?.(detection)
    if (isCalm === undefined) return undefined
    if (isCalm !== CALM) conditions.push(isCalm)
    if (detector.usesPrior === true && isBeingLearnt(profile, settings, nowMs))
      untilMs = Math.min(untilMs, priorsHoldUntil(nowMs))
  }
  return {
    isCalm: (later, atMs) => {
      for (const isCalm of conditions) if (!isCalm(later, atMs)) return false
      return true
    },
    untilMs,
    learnedUntilMs: profile.learnedUntilMs,
  }
}

const NO_SETTINGS: DetectorSettings = { enabled: false, severity: 'info' }
const NOTHING_FOUND: readonly Finding[] = []

interface SwitchedOn {
  readonly detector: Detector
  readonly settings: DetectorSettings
}

/** The enabled detectors with their settings; remembered per settings, which are the same for most keys. */
function switchedOn(
  detectors: readonly Detector[],
  settingsOf: ReadonlyMap<DetectorName, DetectorSettings>,
): readonly SwitchedOn[] {
  const known = enabled.get(settingsOf)
  if (known?.detectors === detectors) return known.switchedOn
  const found = detectors.flatMap((detector) => {
    const settings = settingsOf.get(detector.name)
    return settings?.enabled === true ? [{ detector, settings }] : []
  })
  enabled.set(settingsOf, { detectors, switchedOn: found })
  return found
}
const enabled = new WeakMap<
  ReadonlyMap<DetectorName, DetectorSettings>,
  { readonly detectors: readonly Detector[]; readonly switchedOn: readonly SwitchedOn[] }
>()

/** What was found on one key, graded by its settings, by what is open on it and by the money at risk. */
export function weighed(
  engine: JudgingEngine,
  {
    found: all,
    judged,
    openOf,
  }: {
    readonly found: readonly Finding[]
    readonly judged: Judged
    readonly openOf: ReadonlyMap<string, readonly Alert[]>
  },
): TickDecisions['findings'] {
  const { nowMs } = judged
  const found = all.filter((finding) => !isTaught(finding, judged.taught))
  const { key } = judged.usage
  const settings = engine.settingsFor(key)
  const isGraded = (detector: DetectorName): boolean => settings.get(detector)?.severity === 'auto'
  const agreed = corroborate(found, openOf.get(key.keyId) ?? [], { nowMs, isGraded })
  const graded =
    engine.money === undefined
      ? agreed
      : weighMoney(agreed, {
          settings: engine.money,
          riskOf: (finding) => moneyAtRisk(finding, judged),
          isGraded,
        })
  return graded.map((finding) => ({ finding, key, groupKey: engine.groupKeyFor(finding, key) }))
}

/** What makes two findings the same alert. */
export function identity({ detector, keyId, scope }: Pick<Finding, 'detector' | 'keyId' | 'scope'>): string {
  return `${detector} ${scope} ${keyId}`
}

/** The profile of a key of which nothing has been learnt. */
export function emptyProfileOf(
  engine: Pick<JudgingEngine, 'timeZoneFor'>,
  usage: KeyUsage,
  nowMs: number,
): Profile {
  return emptyProfile({
    keyId: usage.key.keyId,
    firstSeenMs: usage.rollups[0]?.bucketMs ?? nowMs,
    timeZone: engine.timeZoneFor(usage.key),
  })
}
