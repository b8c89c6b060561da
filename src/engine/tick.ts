import type { Alert } from '../alert/alert.ts'
import { calibrationOf, withinBudget } from '../detect/alert-budget.ts'
import { corroborate } from '../detect/corroborate.ts'
import type { Detector, DetectorSettings } from '../detect/detector.ts'
import type { DetectorName, Finding } from '../detect/finding.ts'
import { moneyAtRisk, weighMoney, type MoneySettings } from '../detect/money-at-risk.ts'
import { priorFor } from '../detect/prior.ts'
import { emptyProfile, type Profile } from '../detect/profile.ts'
import { isTaught } from '../detect/taught.ts'
import { SILENCE_NEWS_MS } from '../detect/silence.ts'
import type {
  AnnouncementPlanner,
  Awaitable,
  EngineStore,
  Shard,
  TickDecisions,
  TickOutcome,
  UsageLook,
} from '../store/engine-store.ts'
import type { JudgementBasis } from '../store/unjudged.ts'
import { MINUTE_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { learnClosedHours } from './learn.ts'
import { priorsAt } from './priors.ts'
import { judgedWith, type Judged, type KeyStandings } from './standing.ts'
import { isAboveClosing, settleAlerts, type Lifecycle, type Settled } from './settle-alerts.ts'

/**
 * A key is judged while it has usage this recent. Gateways deliver in batches, a minute late and more; what comes later
 * than this, up to RECENT_USAGE_MS, is judged once, at the first tick after it came (see `Unjudged`). What
 * is later still is counted where it belongs, and no detector looks so far back.
 */
export const ACTIVE_MS = 5 * MINUTE_MS

/** What one tick works with: the same for the daemon (Postgres) and the backtest (memory). */
export interface TickEngine {
  readonly store: EngineStore
  readonly detectors: readonly Detector[]
  /** The settings of every detector for a key, overrides applied. */
  readonly settingsFor: (key: KeyAttributes) => ReadonlyMap<DetectorName, DetectorSettings>
  /** The time zone in which a key's week is learnt. */
  readonly timeZoneFor: (key: KeyAttributes) => string
  /** Alerts with the same group key are announced together. */
  readonly groupKeyFor: (finding: Finding, key: KeyAttributes) => string
  readonly resolveAfterMs: number
  /** See `Learner`; the backtest leaves it out. */
  readonly learnPerTick?: number | undefined
  /** When alerts end and what keeps them quiet; by time alone, and nothing, when absent. */
  readonly lifecycle?: Lifecycle | undefined
  /** What money says about severity; nothing when absent. */
  readonly money?: MoneySettings | undefined
  /** What people said of keys and what was done to them; nothing when absent. */
  readonly standings?: ((nowMs: number) => Promise<KeyStandings>) | undefined
  readonly plan: AnnouncementPlanner
  /**
   * True while nobody can say what keys do, because their usage does not arrive: quiet means nothing then. No alert is
   * resolved, and detectors that judge by what is missing hold their tongue.
   */
  readonly isBlind?: (() => boolean) | undefined
  /** A detector threw: told, and the other detectors and keys go on. */
  readonly onDetectorError: (failure: DetectorFailure) => void
}

const NO_STANDINGS: KeyStandings = new Map()
const NONE_OPEN: ReadonlyMap<string, readonly Alert[]> = new Map()
const NOTHING_SETTLED: Settled = { resolved: [], held: [], clean: [] }

export interface DetectorFailure {
  readonly detector: DetectorName
  readonly keyId: string
  readonly error: unknown
}

export interface TickReport extends TickOutcome {
  readonly keysJudged: number
  readonly hoursLearnt: number
}

/**
 * One tick of one shard at `nowMs`: learns the hours that have closed, judges the active keys whose judgement can differ
 * from the last (see `Unjudged`), and commits what follows for their alerts. Safe to repeat and to run on several
 * replicas at once.
 */
export async function tick(
  engine: TickEngine,
  { shard, nowMs }: { readonly shard: Shard; readonly nowMs: number },
): Promise<TickReport> {
  const { store } = engine
  const learning = learnClosedHours(engine, shard, nowMs)
  const hoursLearnt = learning instanceof Promise ? await learning : learning
  const alerts = store.openAlerts(shard)
  const open = alerts instanceof Promise ? await alerts : alerts
  const openOf = open.length === 0 ? NONE_OPEN : Map.groupBy(open, ({ keyId }) => keyId)
  const standings = engine.standings === undefined ? NO_STANDINGS : await engine.standings(nowMs)
  const range = { activeSinceMs: nowMs - ACTIVE_MS, nowMs }
  const looking = store.look(shard, range, basisOf(engine, { openOf, standings }))
  const look = looking instanceof Promise ? await looking : looking
  const silent = silentKeys(engine, shard, { look, nowMs })
  const alsoSilent = silent instanceof Promise ? await silent : silent
  const usages = alsoSilent.length === 0 ? look.usages : [...look.usages, ...alsoSilent]
  const known = store.profiles(usages.map((usage) => usage.key.keyId))
  const profiles = known instanceof Promise ? await known : known
  const habits = priorsAt(store, nowMs)
  const priors = habits instanceof Promise ? await habits : habits
  // A detector that throws is tried again on the key at the next tick.
  const failed = new Set<string>()
  const onDetectorError = (failure: DetectorFailure): void => {
    failed.add(failure.keyId)
    engine.onDetectorError(failure)
  }
  const judged: Judged[] = []
  const findings: TickDecisions['findings'][number][] = []
  for (const usage of usages) {
    const { key } = usage
    const profile = profiles.get(key.keyId) ?? emptyProfileOf(engine, usage, nowMs)
    const prior = priorFor(priors, { teamId: key.teamId, firstSeenMs: profile.firstSeenMs })
    const one = judgedWith(standings.get(key.keyId), { usage, profile, prior, sites: priors.sites, nowMs })
    if (one === undefined) continue
    judged.push(one)
    const found = judge(engine, one, onDetectorError)
    // Nearly always nothing is found.
    if (found.length > 0) findings.push(...weighed(engine, { found, judged: one, openOf }))
  }
  const decisions: TickDecisions = {
    nowMs,
    findings,
    ...(open.length === 0 || engine.isBlind?.() === true
      ? NOTHING_SETTLED
      : settle(
          { ...engine, onDetectorError },
          { open, findings, judged, isAsBefore: look.isAsBefore, nowMs },
        )),
    resolveAfterMs: engine.resolveAfterMs,
    mutes: engine.lifecycle?.mutesAt(nowMs),
  }
  const committing = store.commit(decisions, engine.plan)
  const outcome = committing instanceof Promise ? await committing : committing
  look.judged(failed)
  return { ...outcome, keysJudged: usages.length, hoursLearnt }
}

/** What was found on one key, graded by its settings, by what is open on it and by the money at risk. */
function weighed(
  engine: TickEngine,
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

/** What a judgement rests on besides usage and profiles: what operators do must take effect at the next tick. */
function basisOf(
  { settingsFor, isBlind }: TickEngine,
  {
    openOf,
    standings,
  }: { readonly openOf: ReadonlyMap<string, readonly Alert[]>; readonly standings: KeyStandings },
): JudgementBasis {
  return {
    circumstances: [settingsFor, isBlind?.() === true],
    watched:
      openOf.size === 0 ? undefined : new Map([...openOf].map(([keyId, open]) => [keyId, stateOf(open)])),
    standings:
      standings.size === 0
        ? undefined
        : new Map([...standings].map(([keyId, standing]) => [keyId, JSON.stringify(standing)])),
  }
}

/** What a judgement sees of the alerts that are open on a key: which there are, and how bad they are. */
function stateOf(open: readonly Alert[]): string {
  return open.map(({ id, severity }) => `${id} ${severity}`).join(' ')
}

/** Keys that have gone silent are judged in one tick by no more than this many: more is an outage, or waits its turn. */
const SILENT_MAX = 1_000

/**
 * The keys that have just gone silent beyond their habit. None while no key at all is in use: what is unknown is not
 * zero, and nothing at all looks like usage that does not arrive.
 */
function silentKeys(
  { store, isBlind }: Pick<TickEngine, 'store' | 'isBlind'>,
  shard: Shard,
  { look, nowMs }: { readonly look: UsageLook; readonly nowMs: number },
): Awaitable<KeyUsage[]> {
  if (isBlind?.() === true || !look.isAnyInUse()) return []
  const range = { fromMs: nowMs - SILENCE_NEWS_MS, toMs: nowMs, limit: SILENT_MAX }
  const unused = (usages: readonly KeyUsage[]): KeyUsage[] =>
    usages.filter(({ key }) => !look.isInUse(key.keyId))
  const silent = store.silentKeys(shard, range)
  return silent instanceof Promise ? silent.then(unused) : unused(silent)
}

/** Runs every enabled detector over one key. A detector that throws costs its own judgement and no other. */
export function judge(
  engine: Pick<TickEngine, 'detectors' | 'settingsFor' | 'isBlind' | 'onDetectorError'>,
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

/** What becomes of the open alerts that were looked for and not found; nothing of those whose key is as before. */
function settle(
  engine: TickEngine,
  {
    open,
    findings,
    judged,
    isAsBefore,
    nowMs,
  }: Pick<TickDecisions, 'nowMs' | 'findings'> & {
    readonly open: readonly Alert[]
    readonly judged: readonly Judged[]
    readonly isAsBefore: (keyId: string) => boolean
  },
): Settled {
  const found = new Set(findings.map(({ finding }) => identity(finding)))
  const missed = open.filter((alert) => !found.has(identity(alert)) && !isAsBefore(alert.keyId))
  const { closeAt = 1, cleanEvaluations = 1 } = engine.lifecycle ?? {}
  const judgedOf = new Map(missed.length === 0 ? [] : judged.map((one) => [one.usage.key.keyId, one]))
  const isHeld = (alert: Alert): boolean => {
    const one = judgedOf.get(alert.keyId)
    if (one === undefined || closeAt >= 1) return false
    return isAboveClosing(alert, {
      ...one,
      nowMs,
      detectors: engine.detectors,
      settings: engine.settingsFor(one.usage.key),
      closeAt,
      onError: (error) => engine.onDetectorError({ detector: alert.detector, keyId: alert.keyId, error }),
    })
  }
  return settleAlerts(missed, { resolveAfterMs: engine.resolveAfterMs, cleanEvaluations, isHeld, nowMs })
}

function identity({ detector, keyId, scope }: Pick<Finding, 'detector' | 'keyId' | 'scope'>): string {
  return `${detector} ${scope} ${keyId}`
}

function emptyProfileOf(engine: TickEngine, usage: KeyUsage, nowMs: number): Profile {
  return emptyProfile({
    keyId: usage.key.keyId,
    firstSeenMs: usage.rollups[0]?.bucketMs ?? nowMs,
    timeZone: engine.timeZoneFor(usage.key),
  })
}
