import type { Rollup } from '../../usage/rollup.ts'
import { digestOf, type UsageDigest } from '../../usage/usage-digest.ts'
import { CALM, calmUnlessKnown, type Calm } from '../calm.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { DetectorName, Finding } from '../finding.ts'
import { historyOf, isLearning, type KnownValue, type Profile } from '../profile.ts'
import {
  areSettled,
  byUse,
  knownShares,
  newsOf,
  noveltiesMet,
  newsWindow,
  noveltyRate,
  type News,
} from '../novelty.ts'
import { habitRate, scoreOfRate } from '../score.ts'
import { counted, listed } from '../sentence.ts'
import { severityOf } from '../settings.ts'
import { check, type Trace } from '../trace.ts'
import { areNoneNewToGroup, newKeyValues } from './new-key-values.ts'

export interface FirstUseSettings extends DetectorSettings {
  readonly min_history: number
  readonly min_events: number
  readonly max_new_per_day: number
}

/** What tells unusual_geo from unfamiliar_model. */
export interface FirstUseKind {
  readonly detector: DetectorName
  readonly metric: 'country' | 'model'
  /** The sentence's middle: `was used from RO` or `used model gpt-5`. */
  readonly phrase: (values: string) => string
  readonly knownTo: (profile: Profile) => readonly KnownValue[]
  readonly valueOf: (rollup: Rollup) => string | undefined
  readonly valuesOf: (digest: UsageDigest) => readonly string[] | undefined
  /** More than a first use: left out where nothing makes it more. */
  readonly isStrong?: (
    detection: Detection<FirstUseSettings>,
    found: { readonly known: readonly KnownValue[]; readonly news: readonly News[] },
  ) => boolean
}

const NAMED_IN_SUMMARY = 3
const NAMED_IN_EVIDENCE = 12

/**
 * One finding that lists every value the key uses for the first time, for as long as that first use goes on. Silent for
 * a key that keeps meeting new values; one that is being learnt is judged by its team (new-key-values.ts).
 */
export function firstUse(
  kind: FirstUseKind,
  detection: Detection<FirstUseSettings>,
  trace?: Trace,
): Finding[] {
  const { profile, settings, nowMs } = detection
  if (isLearning(profile, settings, nowMs)) return newKeyValues(kind, detection, trace)
  const known = kind.knownTo(profile)
  // Not judged before the value itself has a history: a gateway may start to send addresses only today.
  const learnt = settledRequests(known)
  const isKnown = check(trace, learnt >= Math.max(1, settings.min_events), () => ({
    kind: 'learning',
    what: `requests learnt with a known ${kind.metric}`,
    observed: learnt,
    needed: `at least ${Math.max(1, settings.min_events)}`,
    setting: `detectors.${kind.detector}.min_events: ${settings.min_events}`,
  }))
  if (!isKnown) return []
  const knownFromMs = profile.firstSeenMs + settings.min_history
  const news = newsOf(detection, { known, valueOf: kind.valueOf, valuesOf: kind.valuesOf, knownFromMs })
  const isNew = check(trace, news.length > 0, () => ({
    kind: 'unusual',
    what: `values of ${kind.metric} within the last hour that the key uses for the first time`,
    observed: news.length,
    needed: 'at least 1',
  }))
  if (!isNew) return []
  const newPerDay = noveltyRate(profile, known, nowMs)
  const isOdd = check(trace, newPerDay <= settings.max_new_per_day, () => ({
    kind: 'unusual',
    what: `new values of ${kind.metric} a day by habit`,
    observed: Number(newPerDay.toPrecision(2)),
    needed: `at most ${settings.max_new_per_day}`,
    setting: `detectors.${kind.detector}.max_new_per_day: ${settings.max_new_per_day}`,
  }))
  if (!isOdd) return []
  return [findingOf(kind, detection, { known, news, newPerDay })]
}

/**
 * Calm while all values are settled ones of a key that is known, or none is known well enough for one to be new; and while
 * they are common in the group of a key that is being learnt.
 */
export function firstUseCalm(kind: FirstUseKind, detection: Detection<FirstUseSettings>): Calm | undefined {
  const { usage, profile, settings, nowMs } = detection
  const whenKnown = (): Calm | undefined => {
    const known = kind.knownTo(profile)
    if (settledRequests(known) < Math.max(1, settings.min_events)) return CALM
    const values = kind.valuesOf(digestOf(usage, nowMs))
    return values !== undefined && areSettled(values, known) ? CALM : undefined
  }
  return calmUnlessKnown(detection, whenKnown, () => (areNoneNewToGroup(kind, detection) ? CALM : undefined))
}

function settledRequests(known: readonly KnownValue[]): number {
  let requests = 0
  for (const entry of known) if (entry.settled) requests += entry.requests
  return requests
}

function findingOf(
  kind: FirstUseKind,
  detection: Detection<FirstUseSettings>,
  { known, news, newPerDay }: { known: readonly KnownValue[]; news: readonly News[]; newPerDay: number },
): Finding {
  const { usage, profile, settings, nowMs } = detection
  const isStrong = kind.isStrong?.(detection, { known, news }) ?? false
  const history = historyOf(profile, nowMs)
  const values = news.map((item) => item.value)
  const usual = byUse(known).map((entry) => entry.value)
  return {
    detector: kind.detector,
    keyId: usage.key.keyId,
    scope: '',
    severity: severityOf(settings, isStrong ? 'warning' : 'info'),
    score: scoreOf(detection, { known, news, isStrong }),
    summary:
      `${usage.key.keyId} ${kind.phrase(listed(values, NAMED_IN_SUMMARY))} for the first time ` +
      `(${counted(Math.floor(history.days), 'day')} of history: ${listed(usual, NAMED_IN_SUMMARY)})`,
    evidence: {
      metric: kind.metric,
      observed: Object.fromEntries(
        news.slice(0, NAMED_IN_EVIDENCE).map((item) => [item.value, item.requests]),
      ),
      expected: knownShares(known, NAMED_IN_EVIDENCE),
      window: newsWindow(nowMs),
      history,
      setting: `detectors.${kind.detector}.max_new_per_day: ${settings.max_new_per_day}`,
      first_seen: new Date(Math.min(...news.map((item) => item.seenMs))).toISOString(),
      new_values: news.length,
      known_values: usual.length,
      adds_to_usual: isStrong,
      new_per_day: Number(newPerDay.toPrecision(2)),
    },
  }
}

/** Of first uses, so many add to the usual use and look like somebody else's; each further new value halves the chance. */
const STRONG_SHARE = 0.2
const MORE_VALUES_COUNTED = 10

function scoreOf(
  { profile, nowMs }: Detection<FirstUseSettings>,
  {
    known,
    news,
    isStrong,
  }: {
    readonly known: readonly KnownValue[]
    readonly news: readonly News[]
    readonly isStrong: boolean
  },
): number {
  const { met, days } = noveltiesMet(profile, known, nowMs)
  const more = Math.min(news.length - 1, MORE_VALUES_COUNTED)
  return scoreOfRate(habitRate(met, days) * (isStrong ? STRONG_SHARE : 1) * 0.5 ** more)
}
