import { z } from 'zod'
import { durationMs, formatDuration, HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import { RECENT_USAGE_MS, rollupsWithin } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import { digestOf } from '../../usage/usage-digest.ts'
import { CALM, calmUnlessKnown } from '../calm.ts'
import { defineDetector, type Detection, type DetectorSettings } from '../detector.ts'
import type { Finding } from '../finding.ts'
import { areSettled, knownShares, noveltiesMet, noveltyRate } from '../novelty.ts'
import { historyOf, isLearning, type KnownValue, type Profile } from '../profile.ts'
import { habitRate, scoreOfRate } from '../score.ts'
import { counted, durationInWords, listed } from '../sentence.ts'
import { budgetedSettings, learningSettings, severityOf } from '../settings.ts'
import { check } from '../trace.ts'
import { windowOf } from '../window.ts'

const settings = z.strictObject({
  ...budgetedSettings(),
  ...learningSettings({ history: '3d', events: 20 }),
  window: durationMs
    .refine((ms) => ms >= MINUTE_MS && ms <= RECENT_USAGE_MS / 2 && ms % MINUTE_MS === 0, {
      message: 'expected whole minutes from 1m to 1h',
    })
    .prefault('30m')
    .describe('Sliding window that ends now, whole minutes from 1m to 1h.'),
  min_models: z
    .int()
    .min(2)
    .max(100)
    .default(2)
    .describe(
      'How many models that are new to the key must be tried within the window, also in refused calls.',
    ),
  max_new_per_day: z
    .number()
    .min(0)
    .default(0.1)
    .describe('A key that meets more new models a day than this by habit is not alerted.'),
})

/** More calls of each new model than this are use, not a probe: unfamiliar_model and volume_spike tell of that. */
const CALLS_PER_MODEL_MAX = 10
const NAMED_IN_SUMMARY = 3
const NAMED_IN_EVIDENCE = 12

export const modelProbe = defineDetector({
  name: 'model_probe',
  description: 'A few calls of several models that this key never used: somebody tries what it can do.',
  settings,
  detect: (detection, trace) => {
    const { profile, settings: chosen, nowMs } = detection
    if (isLearning(profile, chosen, nowMs)) return []
    const tries = newModels(detection, chosen.window)
    const calls = tries.reduce((sum, tried) => sum + tried.calls, 0)
    const several = check(trace, tries.length >= chosen.min_models, () => ({
      kind: 'unusual',
      what: `models new to the key within ${durationInWords(chosen.window)}`,
      observed: tries.length,
      needed: `at least ${chosen.min_models}`,
      setting: `detectors.model_probe.min_models: ${chosen.min_models}`,
    }))
    if (!several) return []
    const few = check(trace, calls <= CALLS_PER_MODEL_MAX * tries.length, () => ({
      kind: 'unusual',
      what: `calls of these models within ${durationInWords(chosen.window)}`,
      observed: calls,
      needed: `at most ${CALLS_PER_MODEL_MAX * tries.length}: more is use, not a probe`,
    }))
    const newPerDay = noveltyRate(profile, profile.models, nowMs)
    const rare = check(trace, newPerDay <= chosen.max_new_per_day, () => ({
      kind: 'unusual',
      what: 'new models a day by habit',
      observed: Number(newPerDay.toPrecision(2)),
      needed: `at most ${chosen.max_new_per_day}`,
      setting: `detectors.model_probe.max_new_per_day: ${chosen.max_new_per_day}`,
    }))
    return few && rare ? [findingOf(detection, tries, newPerDay)] : []
  },
  // A model that is old stays so.
  calm: (detection) =>
    calmUnlessKnown(detection, () => (areOld(detection, detection.settings.window) ? CALM : undefined)),
})

interface Tried {
  readonly model: string
  /** Calls, refused ones included. */
  readonly calls: number
  readonly refused: number
}

type Judged = Pick<Detection<DetectorSettings>, 'usage' | 'profile' | 'nowMs'>

/** True when the key used all models of the usage, or was refused them, before the hour in which the window begins. */
function areOld({ usage, profile, nowMs }: Judged, windowMs: number): boolean {
  const { models } = digestOf(usage, nowMs)
  return (
    models !== undefined &&
    (areSettled(models, profile.models) ||
      models.every((model) => isOld(profile, model, bucketStart(nowMs - windowMs, HOUR_MS))))
  )
}

function isOld({ models, refusals }: Profile, model: string, fromHourMs: number): boolean {
  return isKnown(models, model, fromHourMs) || isKnown(refusals.models, model, fromHourMs)
}

/** The models of the rollups that the key neither used nor was refused before, most called first. */
function newModels({ usage, profile, nowMs }: Judged, windowMs: number): readonly Tried[] {
  // Nearly always all models are old, and then this is all that is done.
  if (areOld({ usage, profile, nowMs }, windowMs)) return NO_TRIES
  const fromHourMs = bucketStart(nowMs - windowMs, HOUR_MS)
  const tries = new Map<string, Tried>()
  for (const { model, requests, refused } of rollupsWithin(usage, windowMs, nowMs)) {
    if (requests <= 0 || isOld(profile, model, fromHourMs)) continue
    const before = tries.get(model)
    tries.set(model, {
      model,
      calls: requests + (before?.calls ?? 0),
      refused: refused + (before?.refused ?? 0),
    })
  }
  return [...tries.values()].toSorted((a, b) => b.calls - a.calls || (a.model < b.model ? -1 : 1))
}

/** True for a model that was known before the hour. */
function isKnown(known: readonly KnownValue[], model: string, fromHourMs: number): boolean {
  for (const { value, settled, firstSeenMs } of known)
    if (value === model && (settled || firstSeenMs < fromHourMs)) return true
  return false
}

const NO_TRIES: readonly Tried[] = []

function findingOf(
  { usage, profile, settings: chosen, nowMs }: Detection<z.output<typeof settings>>,
  tries: readonly Tried[],
  newPerDay: number,
): Finding {
  const calls = tries.reduce((sum, tried) => sum + tried.calls, 0)
  const refused = tries.reduce((sum, tried) => sum + tried.refused, 0)
  const names = listed(
    tries.map(({ model }) => model),
    NAMED_IN_SUMMARY,
  )
  const refusals = refused === 0 ? '' : `, ${refused === calls ? 'all' : refused} refused`
  return {
    detector: 'model_probe',
    keyId: usage.key.keyId,
    scope: '',
    severity: severityOf(chosen, 'warning'),
    score: scoreOf(profile, tries, nowMs),
    summary:
      `${usage.key.keyId} tried ${counted(tries.length, 'model')} that it never used within ` +
      `${durationInWords(chosen.window)} (${counted(calls, 'call')}${refusals}): ${names}`,
    evidence: {
      metric: 'new_models',
      observed: Object.fromEntries(
        tries.slice(0, NAMED_IN_EVIDENCE).map(({ model, ...counts }) => [model, counts]),
      ),
      expected: knownShares(profile.models, NAMED_IN_EVIDENCE),
      window: windowOf(chosen.window, nowMs),
      history: historyOf(profile, nowMs),
      setting: `detectors.model_probe.min_models: ${chosen.min_models}`,
      probe_window: formatDuration(chosen.window),
      new_models: tries.length,
      calls,
      refused,
      new_per_day: Number(newPerDay.toPrecision(2)),
    },
  }
}

/** Of the times that a key meets new models, so many are a few calls of several; each further model halves it. */
const PROBE_SHARE = 0.2
const MORE_MODELS_COUNTED = 10

function scoreOf(profile: Profile, tries: readonly Tried[], nowMs: number): number {
  const { met, days } = noveltiesMet(profile, profile.models, nowMs)
  return scoreOfRate(habitRate(met, days) * PROBE_SHARE * 0.5 ** Math.min(tries.length, MORE_MODELS_COUNTED))
}
