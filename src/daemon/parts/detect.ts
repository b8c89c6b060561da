import { schedule } from 'node-cron'
import type { TickEngine, TickReport } from '../../engine/tick.ts'
import { createEngineStore } from '../../store/postgres/engine-store.ts'
import { keyStandings } from '../../store/postgres/key-standing.ts'
import { runRetention } from '../../store/postgres/retention.ts'
import { clearSelfAlerts } from '../../store/postgres/self-alert-store.ts'
import { claimTick } from '../../store/postgres/tick-claim.ts'
import { noteTickSuccess } from '../../store/postgres/tick-success.ts'
import { runTicks } from '../run-ticks.ts'
import { SILENT } from '../schedule.ts'
import type { Part, PartContext } from './part.ts'
import { startResponse } from './response.ts'

/** Once an hour, at a minute at which little else begins. Most runs find nothing to do. */
const RETENTION_SCHEDULE = '17 * * * *'

/** Key-hours, some 0.2 s. By ticks of ten seconds 10,000 keys are learnt in a quarter of an hour, 100,000 in forty minutes. */
export const LEARN_PER_TICK = 100

/** The role `detect`: ticks, decisions about keys and calls to the gateway, and the daily clearing out. */
export function startDetect(context: PartContext): Part {
  const { session, live, clock, log, metrics } = context
  const engine = engineOf(context)
  const response = startResponse(context, engine.store)
  const ticks = runTicks({
    queues: session.backends.queues,
    clock,
    settings: () => live.config.schedule,
    engine: () => ({ ...engine, ...live.tick }),
    claim: (shard, slotMs) => claimTick(session.database, shard, slotMs),
    onTick: (report, { shard, startedMs, durationMs }) => {
      metrics.engine.tick(durationMs / 1_000, clock.nowMs())
      tell(context, report)
      noteTickSuccess(session.database, shard, startedMs).catch((error: unknown) => {
        // The tick has done its work; that the note is missing makes the self-watch look again.
        log.debug({ err: error }, 'the end of a tick could not be noted')
      })
    },
    onError: (error) => {
      metrics.engine.tickFailed()
      log.warn({ err: error }, 'a tick failed; the next one does its work')
    },
  })
  const clearing = startRetention(context)
  return {
    stop: async () => {
      await clearing.stop()
      await ticks.stop()
      await response.stop()
    },
  }
}

function engineOf({
  session,
  learnSettleMs,
  log,
  metrics,
  watch,
}: PartContext): Pick<
  TickEngine,
  'store' | 'standings' | 'detectors' | 'isBlind' | 'learnPerTick' | 'onDetectorError'
> {
  return {
    store: createEngineStore(
      session.database,
      learnSettleMs === undefined ? {} : { settleMs: learnSettleMs },
    ),
    standings: (nowMs) => keyStandings(session.database, nowMs),
    detectors: watch.detectors,
    isBlind: () => watch.isBlind(),
    learnPerTick: LEARN_PER_TICK,
    onDetectorError: ({ detector, keyId, error }) => {
      metrics.engine.detectorFailed(detector)
      log.error(
        { detector, keyId, err: error },
        'a detector failed on a key; it is tried again at the next tick',
      )
    },
  }
}

function tell({ log, metrics, alertsChanged }: PartContext, report: TickReport): void {
  const { opened, escalated, resolved } = report
  for (const alert of opened) {
    metrics.engine.alertOpened(alert.detector, alert.severity)
    log.info(
      { alertId: alert.id, detector: alert.detector, keyId: alert.keyId, severity: alert.severity },
      'alert opened',
    )
  }
  for (const alert of escalated) log.info({ alertId: alert.id, severity: alert.severity }, 'alert escalated')
  for (const alert of resolved) log.info({ alertId: alert.id }, 'alert resolved')
  metrics.engine.alertsResolved(resolved.length)
  if (opened.length + escalated.length + resolved.length > 0) alertsChanged()
}

/** Makes partitions for the days to come and drops what is too old: at the start, then once an hour. */
function startRetention({ session, live, clock, log }: PartContext): { stop(): Promise<void> } {
  const run = async (): Promise<void> => {
    try {
      const cleared = await runRetention(session.database, live.config.retention, clock.nowMs())
      // By the replica that did the rest as well.
      if (cleared !== undefined) {
        const before = new Date(clock.nowMs() - live.config.retention.deliveriesMs)
        await clearSelfAlerts(session.database, before)
      }
      log.debug({ cleared }, 'retention')
    } catch (error) {
      log.warn({ err: error }, 'retention failed; it is tried again within the hour')
    }
  }
  const first = run()
  const task = schedule(RETENTION_SCHEDULE, run, { name: 'retention', noOverlap: true, logger: SILENT })
  return {
    stop: async () => {
      await task.destroy()
      await first
    },
  }
}
