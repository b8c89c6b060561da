import { schedule } from 'node-cron'
import { DETECTORS } from '../../detect/registry.ts'
import type { TickEngine, TickReport } from '../../engine/tick.ts'
import { startResponding } from '../../respond/respond.ts'
import { createEngineStore } from '../../store/postgres/engine-store.ts'
import { runRetention } from '../../store/postgres/retention.ts'
import { claimTick } from '../../store/postgres/tick-claim.ts'
import { runTicks } from '../run-ticks.ts'
import { SILENT } from '../schedule.ts'
import type { Part, PartContext } from './part.ts'

/** Once an hour, at a minute at which little else begins. Most runs find nothing to do. */
const RETENTION_SCHEDULE = '17 * * * *'

/** The role `detect`: ticks, decisions about keys and calls to the gateway, and the daily clearing out. */
export function startDetect(context: PartContext): Part {
  const { session, live, clock, log, metrics } = context
  const responding = startResponding({
    revocations: session.revocations,
    revoker: () => live.revoker,
    settings: () => live.config.revoke,
    clock,
    log,
    onDecided: (decided) => {
      for (const { state } of decided) metrics.engine.revocation(state)
      if (decided.length > 0) context.alertsChanged()
    },
    onOutcome: ({ state }, { kind }) => {
      if (kind === 'done') metrics.engine.revocation(state === 'restoring' ? 'restored' : 'revoked')
      if (kind === 'failed') metrics.engine.revocation('failed')
      context.alertsChanged()
    },
  })
  context.onAlertsChanged(() => responding.wake())
  const engine = engineOf(context)
  const ticks = runTicks({
    queues: session.backends.queues,
    clock,
    settings: () => live.config.schedule,
    engine: () => ({ ...engine, ...live.tick }),
    claim: (shard, slotMs) => claimTick(session.database, shard, slotMs),
    onTick: (report, durationMs) => {
      metrics.engine.tick(durationMs / 1_000, clock.nowMs())
      tell(context, report)
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
      await responding.stop()
    },
  }
}

function engineOf({
  session,
  learnSettleMs,
  log,
  metrics,
}: PartContext): Pick<TickEngine, 'store' | 'detectors' | 'onDetectorError'> {
  return {
    store: createEngineStore(
      session.database,
      learnSettleMs === undefined ? {} : { settleMs: learnSettleMs },
    ),
    detectors: DETECTORS,
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
