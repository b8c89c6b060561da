import type { Alert } from '../alert/alert.ts'
import { priorFor } from '../detect/prior.ts'
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
import type { KeyUsage } from '../usage/key-usage.ts'
import {
  calmOf,
  emptyProfileOf,
  identity,
  judge,
  weighed,
  type DetectorFailure,
  type JudgingEngine,
} from './judge.ts'
import { findLate } from './late.ts'
import { learnClosedHours } from './learn.ts'
import { priorsAt } from './priors.ts'
import { judgedWith, type Judged, type KeyStandings } from './standing.ts'
import { isAboveClosing, settleAlerts, type Lifecycle, type Settled } from './settle-alerts.ts'

/**
 * A key is judged while it has usage this recent. Gateways deliver in batches, a minute late and more; what comes later
 * than this, up to RECENT_USAGE_MS, is judged once, at the first tick after it came (see `Unjudged`). What is later still,
 * up to LATE_JUDGED_MS, is judged as of its own time (see `LateUsage`), and what is later than that is counted where it
 * belongs, and no detector looks so far back.
 */
export const ACTIVE_MS = 5 * MINUTE_MS

/** What one tick works with: the same for the daemon (Postgres) and the backtest (memory). */
export interface TickEngine extends JudgingEngine {
  readonly store: EngineStore
  readonly resolveAfterMs: number
  /** See `Learner`; the backtest leaves it out. */
  readonly learnPerTick?: number | undefined
  /** When alerts end and what keeps them quiet; by time alone, and nothing, when absent. */
  readonly lifecycle?: Lifecycle | undefined
  /** What people said of keys and what was done to them; nothing when absent. */
  readonly standings?: ((nowMs: number) => Promise<KeyStandings>) | undefined
  readonly plan: AnnouncementPlanner
}

/**
 * Of the keys of a tick so many, and no less than this share, are asked whether they are calm: it takes half as long as to
 * judge them, and the first tick of an hour judges them all.
 */
const CALM_AT_ONCE = 500
const CALM_SHARE = 0.2

const NO_STANDINGS: KeyStandings = new Map()
const NONE_OPEN: ReadonlyMap<string, readonly Alert[]> = new Map()
const NOTHING_SETTLED: Settled = { resolved: [], held: [], clean: [] }

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
  const keyIds = usages.map(({ key }) => key.keyId)
  for (const { usage } of look.late) keyIds.push(usage.key.keyId)
  const known = store.profiles(keyIds)
  const profiles = known instanceof Promise ? await known : known
  const habits = priorsAt(store, nowMs)
  const priors = habits instanceof Promise ? await habits : habits
  // A detector that throws is tried again on the key at the next tick.
  const failed = new Set<string>()
  const onDetectorError = (failure: DetectorFailure): void => {
    failed.add(failure.keyId)
    engine.onDetectorError(failure)
  }
  const mayBeCalm = ({ usage: { key } }: Judged): boolean =>
    profiles.has(key.keyId) && !openOf.has(key.keyId) && !standings.has(key.keyId) && !failed.has(key.keyId)
  let calmLeft = Math.max(CALM_AT_ONCE, CALM_SHARE * usages.length)
  /** Keys with open alerts. What the others were judged by need not be kept. */
  const judged: Judged[] = []
  const findings: TickDecisions['findings'][number][] = []
  for (const usage of usages) {
    const { key } = usage
    const profile = profiles.get(key.keyId) ?? emptyProfileOf(engine, usage, nowMs)
    const prior = priorFor(priors, { teamId: key.teamId, firstSeenMs: profile.firstSeenMs })
    const one = judgedWith(standings.get(key.keyId), { usage, profile, prior, sites: priors.sites, nowMs })
    if (one === undefined) continue
    if (openOf.has(key.keyId)) judged.push(one)
    const found = judge(engine, one, onDetectorError)
    // Nearly always nothing is found.
    if (found.length > 0) findings.push(...weighed(engine, { found, judged: one, openOf }))
    else if (calmLeft > 0 && mayBeCalm(one)) {
      calmLeft -= 1
      const calm = calmOf(engine, one)
      if (calm !== undefined) look.keepCalm(key.keyId, calm)
    }
  }
  if (look.late.length > 0)
    findings.push(
      ...findLate(engine, look.late, {
        profiles,
        standings,
        sites: priors.sites,
        openOf,
        found: findings,
        nowMs,
        onDetectorError,
      }),
    )
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
