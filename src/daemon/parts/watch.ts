import type { Clock } from '../../clock.ts'
import type { Config } from '../../config/config.ts'
import { DETECTORS } from '../../detect/registry.ts'
import type { Detector } from '../../detect/detector.ts'
import { geoDataDateMs } from '../../enrich/geo-data-date.ts'
import type { LoopStart } from '../../outbound/poll-loop.ts'
import { pingDatabase } from '../../store/postgres/database.ts'
import { readDigestFacts } from '../../store/postgres/digest-facts.ts'
import { lastTurnMs, takeTurn } from '../../store/postgres/duty.ts'
import { ifUnlocked } from '../../store/postgres/lock.ts'
import { createSelfAlertStore, insertNotices } from '../../store/postgres/self-alert-store.ts'
import { lastHourPricing, readHealthFacts, usualRequests } from '../../store/postgres/self-signals.ts'
import { oldestTickSuccess } from '../../store/postgres/tick-success.ts'
import { WEEK_MS } from '../../usage/duration.ts'
import { DetectorHealth } from '../../watch/detector-health.ts'
import { digestNotice } from '../../watch/digest.ts'
import { startDigestSchedule } from '../../watch/digest-schedule.ts'
import { SignalGatherer } from '../../watch/gather-signals.ts'
import { startHeartbeat } from '../../watch/heartbeat.ts'
import { memorySelfAlerts } from '../../watch/memory-self-alerts.ts'
import { startSelfWatch } from '../../watch/self-watch.ts'
import { startTelling } from '../../watch/tell.ts'
import type { DaemonOptions, Role } from '../daemon.ts'
import type { LiveConfig } from '../live-config.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Session } from '../session.ts'

/** How keyhound itself fares: watched in every process, whatever its roles. */
export interface Watch {
  /** The detectors, each noting how it fares. */
  readonly detectors: readonly Detector[]
  /** True while nobody can say what the keys do. */
  isBlind(): boolean
  stop(): Promise<void>
}

export interface WatchContext extends LoopStart, Pick<DaemonOptions, 'environment' | 'clock' | 'log'> {
  readonly session: Session
  readonly live: LiveConfig
  readonly metrics: Metrics
  /** The roles that run in this process by now. */
  readonly roles: () => readonly Role[]
}

/** Starts the self-watch, what it tells with, and the sign of life. */
export function startWatch(context: WatchContext): Watch {
  const { session, live, clock, log, metrics, begins } = context
  const { database } = session
  const health = new DetectorHealth(DETECTORS)
  const shared = createSelfAlertStore(database)
  const own = memorySelfAlerts()
  const telling = startTelling({ outboxes: [own, shared], channels: () => live.channels, clock, log, begins })
  const gatherer = gathererOf(context, { health, heartbeat: () => heartbeat.signal() })
  const watch = startSelfWatch({
    signals: () => gatherer.gather(),
    shared,
    own,
    settings: () => live.config.selfWatch,
    channelNames: () => [...live.channels.keys()],
    clock,
    log,
    begins,
    onMoves: ({ opened, repeated, closed }) => {
      if (opened.length + repeated.length + closed.length > 0) telling.wake()
    },
  })
  const heartbeat = startHeartbeat({
    settings: () => live.config.heartbeat,
    isAlive: () => watch.isAlive(),
    takeTurn: (turnMs) => takeTurn(database, 'heartbeat', turnMs),
    fetch: () => live.fetch,
    clock,
    log,
    begins,
  })
  const digest = startDigestSchedule({
    settings: () => live.config.weeklyDigest,
    lastTurnMs: () => lastTurnMs(database, DIGEST),
    send: async (dueMs) => (await ifUnlocked(database, 'digest', () => sendDigest(context, dueMs))) ?? false,
    clock,
    log,
    begins,
  })
  metrics.watch({ topics: () => watch.topics(), detectorSuccesses: () => health.lastSuccesses() })
  return {
    detectors: health.watched,
    isBlind: () => watch.isBlind(),
    stop: async () => {
      await Promise.all([heartbeat.stop(), watch.stop(), digest.stop()])
      await telling.stop()
    },
  }
}

const DIGEST = 'digest'

interface DigestContext {
  readonly session: Pick<Session, 'database' | 'revocations' | 'silences'>
  readonly live: { readonly config: Pick<Config, 'weeklyDigest'> }
  readonly clock: Clock
  readonly log: Logger
}

/** Makes the digest that was due at the instant and puts it into the outbox, together with the note that it was made. */
export async function sendDigest({ session, live, clock, log }: DigestContext, dueMs: number): Promise<true> {
  const { database, revocations, silences } = session
  const newestMs = await lastTurnMs(database, DIGEST)
  if (newestMs !== undefined && newestMs >= dueMs) return true
  const span = { from: new Date(dueMs - WEEK_MS), to: new Date(dueMs) }
  const notice = digestNotice(await readDigestFacts(database, { revocations, silences }, span))
  const targets = live.config.weeklyDigest.channels
  await database.transaction().execute(async (trx) => {
    if (!(await takeTurn(trx, DIGEST, dueMs))) return
    await insertNotices(trx, { notices: [notice], targets, now: new Date(clock.nowMs()) })
    log.info({ channels: targets, due: span.to }, 'digest made')
  })
  return true
}

function gathererOf(
  { session, live, clock, environment, roles }: WatchContext,
  {
    health,
    heartbeat,
  }: { health: DetectorHealth; heartbeat: () => ReturnType<ReturnType<typeof startHeartbeat>['signal']> },
): SignalGatherer {
  const { database, backends } = session
  const { queues } = backends
  let counted = { shards: live.config.schedule.shards, sinceMs: clock.nowMs() }
  return new SignalGatherer({
    pingDatabase: () => pingDatabase(database),
    pingQueue: () => queues.ping(),
    jobCounts: () => queues.queue(environment.queueName).counts(),
    healthFacts: (nowMs) => readHealthFacts(database, nowMs),
    usualRequests: (span) => usualRequests(database, span),
    ticks: async () => {
      const { shards, tickMs } = live.config.schedule
      // A reloaded configuration may divide the keys anew: those shards have not had their turn yet.
      if (shards !== counted.shards) counted = { shards, sinceMs: clock.nowMs() }
      return { ...(await oldestTickSuccess(database, counted)), tickMs }
    },
    pricing: (nowMs) => lastHourPricing(database, nowMs),
    geoDataMs: async () => (roles().includes('ingest') ? geoDataDateMs() : undefined),
    detectors: () => (roles().includes('detect') ? health.report(clock.nowMs()) : undefined),
    heartbeat,
    policyActs: () => ['approve', 'auto'].includes(live.config.revoke.mode),
    clock,
  })
}
