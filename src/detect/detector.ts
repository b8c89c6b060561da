import type { z } from 'zod'
import type { Calm } from './calm.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import type { DetectorName, Finding, Severity } from './finding.ts'
import type { Prior, Site } from './prior.ts'
import type { Profile } from './profile.ts'
import type { Trace } from './trace.ts'

/** Settings that every detector has. Names are those of the YAML; durations are milliseconds once parsed. */
export interface DetectorSettings {
  readonly enabled: boolean
  /** `auto`: graded by the detector, and raised by corroboration. */
  readonly severity: Severity | 'auto'
  /** Its part of the alert budget, for detectors that have one: false alerts of severity warning and up (alert-budget.ts). */
  readonly false_alerts_per_100_key_days?: number | undefined
}

/** What a detector may look at. Nothing else: no clock, no store, no environment. */
export interface Detection<Settings extends DetectorSettings> {
  readonly usage: KeyUsage
  /** What is usual for this key; it ends where `usage.rollups` matter, at `profile.learnedUntilMs`. */
  readonly profile: Profile
  /** What is usual for the keys of its team or of the fleet, for as long as the key's own history does not suffice; undefined while that is unknown. */
  readonly prior?: Prior | undefined
  /** Where several keys of the fleet are at home; undefined while that is unknown. */
  readonly sites?: readonly Site[] | undefined
  readonly settings: Settings
  /** The instant of the tick; nothing in `usage` is later. */
  readonly nowMs: number
}

/**
 * A detector is a pure function with a name and settings. To add one: this file's interface in `detectors/`, a line in
 * `registry.ts`, its test.
 */
export interface Detector {
  readonly name: DetectorName
  /** One line for the docs and for editors: when it fires. */
  readonly description: string
  /** Strict object, every setting with a default and a description. */
  readonly settings: z.ZodObject
  /** It judges by what is missing, or by a share of what there is: it is not asked while usage does not arrive as it should. */
  readonly restsOnSilence?: boolean
  /** It judges what is so now, by what the profile holds: of the usage of some hours ago that came late it can say nothing. */
  readonly judgesTheMoment?: boolean
  /** It judges a key that is still being learnt by `prior`. */
  readonly usesPrior?: boolean
  /**
   * Findings at `nowMs`, one per scope at the most; an empty list when all is usual or still being learnt. Never throws
   * on valid usage. Its comparisons are noted in `trace`, when there is one, and are the same without.
   */
  detect(detection: Detection<DetectorSettings>, trace?: Trace): Finding[]
  /**
   * When it will go on to find nothing in the rest of the hour; undefined when it cannot tell. It is asked of a key with a
   * stored profile of which nothing has just been found. A detector without it is asked itself at every tick.
   */
  calm?(detection: Detection<DetectorSettings>): Calm | undefined
}

/** Ties a detector's settings schema to its `detect`, and forgets the settings' type so that detectors fit one registry. */
export function defineDetector<Schema extends z.ZodObject>(detector: {
  readonly name: DetectorName
  readonly description: string
  readonly settings: Schema
  readonly restsOnSilence?: boolean
  readonly judgesTheMoment?: boolean
  readonly usesPrior?: boolean
  detect(detection: Detection<z.output<Schema> & DetectorSettings>, trace?: Trace): Finding[]
  calm?(detection: Detection<z.output<Schema> & DetectorSettings>): Calm | undefined
}): Detector {
  // Sound because settings reach a detector only through its own schema (config/overrides.ts parses them with it).
  return detector as unknown as Detector
}
