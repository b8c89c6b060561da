import type { Alert } from '../alert/alert.ts'
import { isQuiet } from '../alert/triage.ts'
import { corroborate } from '../detect/corroborate.ts'
import type { Detector, DetectorSettings } from '../detect/detector.ts'
import type { DetectorName, Finding } from '../detect/finding.ts'
import { emptyProfile, LEARN_DELAY_MS, type Profile } from '../detect/profile.ts'
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

/**
 * A key is judged while it has usage this recent. Gateways deliver in batches, a minute late and more; what arrives
 * later than this is counted, but judged only with the key's next usage.
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
  readonly plan: AnnouncementPlanner
  /** A detector threw: told, and the other detectors and keys go on. */
  readonly onDetectorError: (failure: DetectorFailure) => void
}

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
  const usages = await store.activeUsage(shard, { activeSinceMs, nowMs })
  const profiles = await store.profiles(usages.map((usage) => usage.key.keyId))
  const open = await store.openAlerts(shard)
  const openOf = Map.groupBy(open, ({ keyId }) => keyId)
  const findings = usages.flatMap((usage) => {
    const profile = profiles.get(usage.key.keyId) ?? emptyProfileOf(engine, usage, nowMs)
    const settings = engine.settingsFor(usage.key)
    return corroborate(judge(engine, { usage, profile, nowMs }), openOf.get(usage.key.keyId) ?? [], {
      nowMs,
      isGraded: (detector) => settings.get(detector)?.severity === 'auto',
    }).map((finding) => ({
      finding,
      key: usage.key,
      groupKey: engine.groupKeyFor(finding, usage.key),
    }))
  })
  const decisions: TickDecisions = {
    nowMs,
    findings,
    resolved: quietAlerts(open, { resolveAfterMs: engine.resolveAfterMs, nowMs, findings }),
  }
  const outcome = await store.commit(decisions, engine.plan)
  return { ...outcome, keysJudged: usages.length, hoursLearnt }
}

/** Runs every enabled detector over one key. A detector that throws costs its own judgement and no other. */
export function judge(
  engine: Pick<TickEngine, 'detectors' | 'settingsFor' | 'onDetectorError'>,
  { usage, profile, nowMs }: { usage: KeyUsage; profile: Profile; nowMs: number },
): Finding[] {
  const settingsOf = engine.settingsFor(usage.key)
  return engine.detectors.flatMap((detector) => {
    const settings = settingsOf.get(detector.name)
    if (settings?.enabled !== true) return []
    try {
      return detector.detect({ usage, profile, settings, nowMs })
    } catch (error) {
      engine.onDetectorError({ detector: detector.name, keyId: usage.key.keyId, error })
      return []
    }
  })
}

/** Hours that end at or before this are closed, and learnt. */
function closedBefore(nowMs: number): number {
  return Math.floor((nowMs - LEARN_DELAY_MS) / HOUR_MS) * HOUR_MS
}

function quietAlerts(
  open: readonly Alert[],
  {
    resolveAfterMs,
    nowMs,
    findings,
  }: { readonly resolveAfterMs: number } & Pick<TickDecisions, 'nowMs' | 'findings'>,
): string[] {
  const found = new Set(findings.map(({ finding }) => identity(finding)))
  return open
    .filter((alert) => !found.has(identity(alert)) && isQuiet(alert, resolveAfterMs, nowMs))
    .map((alert) => alert.id)
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
