/** Everything that keyhound can raise an alert about. The names are part of the interface. */
export const DETECTOR_NAMES = [
  'volume_spike',
  'unusual_geo',
  'impossible_travel',
  'unusual_hour',
  'unfamiliar_model',
  'spend_threshold',
  'model_probe',
  'dormant_key',
  'error_rate',
  'ip_allowlist',
  'distinct_addresses',
  'key_age',
  'unpriced_traffic',
  'key_silent',
  'slow_drift',
] as const

/** Alerts that no detector finds: a revoked key that is still in use (respond/watch.ts). It has no settings. */
export const RESPONSE_ALERT = 'revoke_not_effective'

export type DetectorName = (typeof DETECTOR_NAMES)[number] | typeof RESPONSE_ALERT

/**
 * Detectors that hold a key against a rule of the operator's, or tell that it is not used. Their alerts say nothing about
 * whether use is the key's own, so hours under them are taught like any other.
 */
export const LIMIT_DETECTORS: readonly DetectorName[] = [
  'spend_threshold',
  'key_age',
  'unpriced_traffic',
  'key_silent',
]

export const SEVERITIES = ['info', 'warning', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** 0 for info, 1 for warning, 2 for critical. */
export function severityRank(severity: Severity): number {
  return SEVERITIES.indexOf(severity)
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** Why a finding was made, complete enough to be checked by hand. Serialised as it is: snake_case names. */
export interface Evidence {
  /** What was measured: `requests`, `cost_usd`, `country`, ... */
  readonly metric: string
  readonly observed: JsonValue
  /** What would have been usual. */
  readonly expected: JsonValue
  /** ISO instants of the window that was judged. */
  readonly window: { readonly start: string; readonly end: string }
  /** What the judgement rests on. */
  readonly history: { readonly days: number; readonly events: number }
  /** The setting that decided, as it is written in the configuration: `detectors.volume_spike.sensitivity: medium`. */
  readonly setting: string
  /** ISO instant before which the alert is not resolved even if the key pauses, because what it tells is known to last. */
  readonly holds_until?: string
  /** ISO instant at which what it tells is known to end: the alert is resolved then, neither before nor later. */
  readonly ends_at?: string
  readonly [detail: string]: JsonValue
}

/** One judgement of one detector about one key at one tick. */
export interface Finding {
  readonly detector: DetectorName
  readonly keyId: string
  /** Tells apart alerts of one detector on one key that live their own lives (`1d:10` of spend_threshold); else ''. */
  readonly scope: string
  readonly severity: Severity
  /**
   * How rarely this happens to this key by itself, the same for every detector (score.ts): 2 is once in 100 days of the
   * key, 3 once in 1,000. Left out for limits of the operator: how often they are reached says nothing of the key.
   */
  readonly score?: number
  /** One sentence that an engineer understands at 3 a.m. Plain text; may hold text that an attacker chose. */
  readonly summary: string
  readonly evidence: Evidence
}
