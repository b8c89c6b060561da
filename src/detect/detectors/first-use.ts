import type { Rollup } from '../../usage/rollup.ts'
import type { Detection, DetectorSettings } from '../detector.ts'
import type { DetectorName, Finding } from '../finding.ts'
import { historyOf, isLearning, type KnownValue } from '../profile.ts'
import { byUse, knownShares, newsOf, newsWindow, noveltyRate, type News } from '../novelty.ts'
import { counted, listed } from '../sentence.ts'
import { severityOf } from '../settings.ts'

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
  readonly known: (detection: Detection<FirstUseSettings>) => readonly KnownValue[]
  readonly valueOf: (rollup: Rollup) => string | undefined
  /** More than a first use: left out where nothing makes it more. */
  readonly isStrong?: (
    detection: Detection<FirstUseSettings>,
    found: { readonly known: readonly KnownValue[]; readonly news: readonly News[] },
  ) => boolean
}

const NAMED_IN_SUMMARY = 3
const NAMED_IN_EVIDENCE = 12

/**
 * One finding that lists every value the key uses for the first time, for as long as that first use goes on. Silent
 * while the key is being learnt, and for a key that keeps meeting new values.
 */
export function firstUse(kind: FirstUseKind, detection: Detection<FirstUseSettings>): Finding[] {
  const { profile, settings, nowMs } = detection
  if (isLearning(profile, settings, nowMs)) return []
  const known = kind.known(detection)
  // Not judged before the value itself has a history: a gateway may start to send addresses only today.
  if (
    known.reduce((sum, entry) => sum + (entry.settled ? entry.requests : 0), 0) <
    Math.max(1, settings.min_events)
  ) {
    return []
  }
  const knownFromMs = profile.firstSeenMs + settings.min_history
  const news = newsOf(detection, { known, valueOf: kind.valueOf, knownFromMs })
  if (news.length === 0) return []
  const newPerDay = noveltyRate(profile, known, nowMs)
  if (newPerDay > settings.max_new_per_day) return []
  return [findingOf(kind, detection, { known, news, newPerDay })]
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
