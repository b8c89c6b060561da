import { formatDuration, HOUR_MS } from '../../usage/duration.ts'
import { rollupsWithin, sumRollups } from '../../usage/key-usage.ts'
import type { Rollup } from '../../usage/rollup.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import type { Detection } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { countByValue, isFirstUse } from '../known-values.ts'
import { newsWindow } from '../novelty.ts'
import {
  newcomerChance,
  PRIOR_KEYS_MIN,
  priorInWords,
  priorToJson,
  type Prior,
  type Shared,
} from '../prior.ts'
import { historyOf } from '../profile.ts'
import { scoreOfRate } from '../score.ts'
import { counted, listed } from '../sentence.ts'
import { severityOf } from '../settings.ts'
import { check, type Trace } from '../trace.ts'
import type { FirstUseKind, FirstUseSettings } from './first-use.ts'

/** A key that is being learnt for three days, by default, brings what is new to its team once in that time. */
const STARTS_PER_DAY = 1 / 3
/** A model that costs so many times what is usual in the group is worth stealing (new-models.ts). */
const DEAR_RATIO = 10
/** Of the models that a new key brings, so many are that dear; each further new value halves the chance. */
const DEAR_SHARE = 0.2
const MORE_VALUES_COUNTED = 10
const NAMED_IN_SUMMARY = 3
const NAMED_IN_EVIDENCE = 12

interface Newcomer {
  readonly value: string
  /** Successful requests with it within the last hour. */
  readonly requests: number
}

/**
 * The finding about a key that is not known yet: it uses what no key of its team, or of the fleet, does. For as long as its
 * first use goes on; none without a prior.
 */
export function newKeyValues(
  kind: FirstUseKind,
  detection: Detection<FirstUseSettings>,
  trace?: Trace,
): Finding[] {
  const { prior } = detection
  const shared = sharedOf(kind, prior)
  if (prior === undefined || shared === undefined) return []
  const newcomers = newcomersOf(kind, detection, shared)
  const isNew = check(trace, newcomers.length > 0, () => ({
    kind: 'unusual',
    what: `values of ${kind.metric} within the last hour that no key has, by ${priorInWords(prior)}`,
    observed: newcomers.length,
    needed: 'at least 1',
  }))
  return isNew ? [findingOf(kind, detection, { prior, shared, newcomers })] : []
}

/** True when other keys of the group have all values of the usage, or nothing is known of the group. */
export function areNoneNewToGroup(
  kind: FirstUseKind,
  { usage, prior, nowMs }: Detection<FirstUseSettings>,
): boolean {
  const shared = sharedOf(kind, prior)
  return shared === undefined || areCommon(kind.valuesOf(digestOf(usage, nowMs)), shared)
}

/** Undefined where it says nothing. */
function sharedOf({ metric }: FirstUseKind, prior: Prior | undefined): Shared | undefined {
  const shared = metric === 'country' ? prior?.countries : prior?.models
  // A gateway that sends no addresses shows no countries: that none is known there is no habit.
  return shared === undefined || shared.keys < PRIOR_KEYS_MIN ? undefined : shared
}

function areCommon(values: readonly string[] | undefined, { users }: Shared): boolean {
  return values?.every((value) => users.has(value)) === true
}

/** The values of the last hour that are new to the group and still new to the key, most used first. */
function newcomersOf(
  kind: FirstUseKind,
  { usage, profile, nowMs }: Detection<FirstUseSettings>,
  shared: Shared,
): readonly Newcomer[] {
  // Nearly always all values are common, and then this is all that is done.
  if (areCommon(kind.valuesOf(digestOf(usage, nowMs)), shared)) return []
  const { users } = shared
  const known = kind.knownTo(profile)
  const isOld = (value: string): boolean => {
    const entry = known.find((candidate) => candidate.value === value)
    return entry !== undefined && !isFirstUse(entry, { hourMs: entry.lastSeenMs, nowMs })
  }
  return [...countByValue(rollupsWithin(usage, HOUR_MS, nowMs), kind.valueOf)]
    .filter(([value]) => !users.has(value) && !isOld(value))
    .map(([value, requests]) => ({ value, requests }))
    .toSorted((a, b) => b.requests - a.requests || (a.value < b.value ? -1 : 1))
}

function findingOf(
  kind: FirstUseKind,
  detection: Detection<FirstUseSettings>,
  {
    prior,
    shared,
    newcomers,
  }: { readonly prior: Prior; readonly shared: Shared; readonly newcomers: readonly Newcomer[] },
): Finding {
  const { usage, profile, settings, nowMs } = detection
  const isStrong = kind.metric === 'model' && isDear(detection, prior, newcomers)
  const history = historyOf(profile, nowMs)
  const names = newcomers.map(({ value }) => value)
  const common = [...shared.users].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  return {
    detector: kind.detector,
    keyId: usage.key.keyId,
    scope: '',
    severity: severityOf(settings, isStrong ? 'warning' : 'info'),
    score: scoreOf(shared, newcomers.length, isStrong),
    summary:
      `${usage.key.keyId}, known for ${counted(Math.floor(history.days), 'day')}, ${kind.phrase(listed(names, NAMED_IN_SUMMARY))}, ` +
      `which no other key does, by ${priorInWords(prior)}`,
    evidence: {
      metric: kind.metric,
      observed: Object.fromEntries(
        newcomers.slice(0, NAMED_IN_EVIDENCE).map(({ value, requests }) => [value, requests]),
      ),
      expected: Object.fromEntries(
        common.slice(0, NAMED_IN_EVIDENCE).map(([value, users]) => [value, sharePerKey(users, shared)]),
      ),
      window: newsWindow(nowMs),
      history,
      setting: `detectors.${kind.detector}.min_history: ${formatDuration(settings.min_history)}`,
      judged_by: priorToJson(prior),
      new_values: newcomers.length,
      adds_to_usual: isStrong,
    },
  }
}

function sharePerKey(users: number, { keys }: Shared): number {
  return Number((users / keys).toPrecision(2))
}

/** True when requests with the new models cost far more than those of the group do. */
function isDear(
  { usage, nowMs }: Detection<FirstUseSettings>,
  { costNanoUsdPerRequest }: Prior,
  newcomers: readonly Newcomer[],
): boolean {
  if (costNanoUsdPerRequest === undefined) return false
  const names = new Set(newcomers.map(({ value }) => value))
  const isTheirs = ({ model }: Rollup): boolean => names.has(model)
  const used = sumRollups(rollupsWithin(usage, HOUR_MS, nowMs).filter(isTheirs))
  const priced = used.requests - used.refused - used.unpriced
  return priced > 0 && used.costNanoUsd / priced >= DEAR_RATIO * Math.exp(costNanoUsdPerRequest.center)
}

function scoreOf(shared: Shared, values: number, isStrong: boolean): number {
  const more = Math.min(values - 1, MORE_VALUES_COUNTED)
  return scoreOfRate(newcomerChance(shared) * STARTS_PER_DAY * (isStrong ? DEAR_SHARE : 1) * 0.5 ** more)
}
