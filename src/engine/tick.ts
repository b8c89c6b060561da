import type { Alert } from '../alert/alert.ts'
import { calibrationOf, withinBudget } from '../detect/alert-budget.ts'
import { corroborate } from '../detect/corroborate.ts'
import type { Detector, DetectorSettings } from '../detect/detector.ts'
import type { DetectorName, Finding } from '../detect/finding.ts'
import { moneyAtRisk, weighMoney, type MoneySettings } from '../detect/money-at-risk.ts'
import { emptyProfile, LEARN_DELAY_MS, type Profile } from '../detect/profile.ts'
import { isTaught } from '../detect/taught.ts'
import { SILENCE_NEWS_MS } from '../detect/silence.ts'
import type {
  AnnouncementPlanner,
  EngineStore,
  Shard,
  TickDecisions,
  TickOutcome,
} from '../store/engine-store.ts'
import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import { learnClosedHours } from './learn.ts'
import { judgedWith, type Judged, type KeyStandings } from './standing.ts'
import { isAboveClosing, settleAlerts, type Lifecycle, type Settled } from './settle-alerts.ts'

/**
 * A key is judged while it has usage this recent. Gateways deliver in batches, a minute late and more; what comes later
 * than this, up to RECENT_USAGE_MS, is judged once, at the first tick after it came (see EngineStore.activeUsage). What
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
 * One tick of one shard at `nowMs`: learns the hours that have closed, judges the keys that were active, and commits
 * what follows for their alerts. Safe to repeat and to run on several replicas at once. `activeSinceMs` narrows the
 * keys that are judged (the backtest judges only keys with new events); the daemon leaves it out.
 */
export async function tick(
  engine: TickEngine,
  {
    shard,
    nowMs,
    activeSinceMs = nowMs - ACTIVE_MS,
  }: { shard: Shard; nowMs: number; activeSinceMs?: number },
): Promise<TickReport> {
  const { store } = engine
  const hoursLearnt = await learnClosedHours(engine, shard, closedBefore(nowMs))
  const active = await store.activeUsage(shard, { activeSinceMs, nowMs })
  const usages = [...active, ...(await silentKeys(engine, shard, { active, nowMs }))]
  const profiles = await store.profiles(usages.map((usage) => usage.key.keyId))
  const open = await store.openAlerts(shard)
  const openOf = Map.groupBy(open, ({ keyId }) => keyId)
  const standings = (await engine.standings?.(nowMs)) ?? NO_STANDINGS
  const toJudge = usages.flatMap((usage) => {
    const profile = profiles.get(usage.key.keyId) ?? emptyProfileOf(engine, usage, nowMs)
    return judgedWith(standings.get(usage.key.keyId), { usage, profile }) ?? []
  })
  const findings = toJudge.flatMap((judged) => {
    const { usage } = judged
    const settings = engine.settingsFor(usage.key)
    const found = judge(engine, { ...judged, nowMs }).filter((finding) => !isTaught(finding, judged.taught))
    const isGraded = (detector: DetectorName): boolean => settings.get(detector)?.severity === 'auto'
    const agreed = corroborate(found, openOf.get(usage.key.keyId) ?? [], { nowMs, isGraded })
    const graded =
      engine.money === undefined
        ? agreed
        : weighMoney(agreed, {
            settings: engine.money,
            riskOf: (finding) => moneyAtRisk(finding, { ...judged, nowMs }),
            isGraded,
          })
    return graded.map((finding) => ({
      finding,
      key: usage.key,
      groupKey: engine.groupKeyFor(finding, usage.key),
    }))
  })
  const decisions: TickDecisions = {
    nowMs,
    findings,
    ...(engine.isBlind?.() === true
      ? { resolved: [] }
      : settle(engine, { open, findings, judged: toJudge, nowMs })),
    resolveAfterMs: engine.resolveAfterMs,
    mutes: engine.lifecycle?.mutesAt(nowMs),
  }
  const outcome = await store.commit(decisions, engine.plan)
  return { ...outcome, keysJudged: usages.length, hoursLearnt }
}

/** Keys that have gone silent are judged in one tick by no more than this many: more is an outage, or waits its turn. */
const SILENT_MAX = 1_000

/**
 * The keys that have just gone silent beyond their habit. None while no key at all is in use: what is unknown is not
 * zero, and nothing at all looks like usage that does not arrive.
 */
async function silentKeys(
  { store, isBlind }: Pick<TickEngine, 'store' | 'isBlind'>,
  shard: Shard,
  { active, nowMs }: { readonly active: readonly KeyUsage[]; readonly nowMs: number },
): Promise<KeyUsage[]> {
  if (active.length === 0 || isBlind?.() === true) return []
  const inUse = new Set(active.map(({ key }) => key.keyId))
  const range = { fromMs: nowMs - SILENCE_NEWS_MS, toMs: nowMs, limit: SILENT_MAX }
  return (await store.silentKeys(shard, range)).filter(({ key }) => !inUse.has(key.keyId))
}

/** Runs every enabled detector over one key. A detector that throws costs its own judgement and no other. */
export function judge(
  engine: Pick<TickEngine, 'detectors' | 'settingsFor' | 'onDetectorError' | 'isBlind'>,
  { usage, profile, nowMs }: { usage: KeyUsage; profile: Profile; nowMs: number },
): Finding[] {
  const settingsOf = engine.settingsFor(usage.key)
  const findings: Finding[] = []
  for (const detector of engine.detectors) {
    const settings = settingsOf.get(detector.name)
    if (settings?.enabled !== true) continue
    if (detector.restsOnSilence === true && engine.isBlind?.() === true) continue
    try {
      const found = detector.detect({ usage, profile, settings, nowMs })
      if (found.length === 0) continue
      const calibration = calibrationOf(detector.name, settings, profile)
      findings.push(...found.map((finding) => withinBudget(finding, calibration)))
    } catch (error) {
      engine.onDetectorError({ detector: detector.name, keyId: usage.key.keyId, error })
    }
  }
  return findings
}

/** Hours that end at or before this are closed, and learnt. */
function closedBefore(nowMs: number): number {
  return Math.floor((nowMs - LEARN_DELAY_MS) / HOUR_MS) * HOUR_MS
}

/** What becomes of the open alerts that were not found. */
function settle(
  engine: TickEngine,
  {
    open,
    findings,
    judged,
    nowMs,
  }: Pick<TickDecisions, 'nowMs' | 'findings'> & {
    readonly open: readonly Alert[]
    readonly judged: readonly Judged[]
  },
): Settled {
  const found = new Set(findings.map(({ finding }) => identity(finding)))
  const missed = open.filter((alert) => !found.has(identity(alert)))
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
  return JSON.stringify([detector, keyId, scope])
}

function emptyProfileOf(engine: TickEngine, usage: KeyUsage, nowMs: number): Profile {
  return emptyProfile({
    keyId: usage.key.keyId,
    firstSeenMs: usage.rollups[0]?.bucketMs ?? nowMs,
    timeZone: engine.timeZoneFor(usage.key),
  })
}
