import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { Environment } from '../config/env.ts'
import { formatProblem } from '../config/problem.ts'
import type { EarlyPostgres } from '../embedded/early-postgres.ts'
import type { DeliveryReport } from '../notify/deliver.ts'
import { createMetrics } from './metrics.ts'
import { LiveConfig } from './live-config.ts'
import type { Logger } from './log.ts'
import { startDetect } from './parts/detect.ts'
import { startHttp } from './parts/http.ts'
import { startIngestPart } from './parts/ingest.ts'
import { startNotify } from './parts/notify.ts'
import type { Part, PartContext } from './parts/part.ts'
import { startWatch, type Watch } from './parts/watch.ts'
import { channelReports } from '../store/channel-report.ts'
import { countOpenAlerts } from '../store/postgres/count-open-alerts.ts'
import { linkKey } from '../store/postgres/link-key.ts'
import { openSession, type Session } from './session.ts'
import { markStart, startTimesMs } from './start-times.ts'

export const ROLES = ['ingest', 'detect', 'notify', 'api'] as const
export type Role = (typeof ROLES)[number]

export interface DaemonOptions {
  readonly environment: Environment
  readonly config: Config
  readonly roles: readonly Role[]
  readonly clock: Clock
  readonly log: Logger
  /** Where keyhound keeps its state, instead of where the environment says: the demo's is a fresh one. */
  readonly dataDir?: string
  /** The embedded PostgreSQL, when it has been started before. */
  readonly early?: EarlyPostgres | undefined
  /** How long imported history must have been here before it is learnt; see `createEngineStore`. */
  readonly learnSettleMs?: number
  readonly onDelivery?: (report: DeliveryReport) => void
}

export interface Daemon {
  readonly session: Session
  readonly live: LiveConfig
  /** The queue that usage events are taken from. */
  readonly queueName: string
  /** Where it serves health, metrics and, with the role `api`, the API; undefined when it cannot. */
  readonly url: string | undefined
  /** Starts further roles in this process; `api` only at the start. */
  addRoles(roles: readonly Role[]): Promise<void>
  /** Ends the parts in the order of an event's way: no new events, then ingest, ticks, responses, messages. */
  stop(): Promise<void>
}

type Worker = Exclude<Role, 'api'>
const WORKERS: Readonly<Record<Worker, (context: PartContext) => Part | Promise<Part>>> = {
  ingest: startIngestPart,
  detect: startDetect,
  notify: startNotify,
}
/** The way of an event: workers are stopped in this order and started in the reverse one. */
const STOP_ORDER: readonly Worker[] = ['ingest', 'detect', 'notify']

/**
 * Puts keyhound together and starts the roles. Throws, within seconds, when a server cannot be reached; what was
 * started by then is stopped.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { environment, config, clock, log } = options
  for (const warning of [...environment.warnings, ...config.warnings]) {
    log.warn({ problem: formatProblem(warning) }, 'configuration warning')
  }
  const onNotice = (message: string, error?: Error): void => log.warn({ err: error }, message)
  const session = await openSession({ ...options, onNotice })
  const live = new LiveConfig(config, clock, {
    queue: (name) => session.backends.queues.queue(name),
    linkKey: await linkKey(session.database).catch(async (error: unknown) => {
      await session.close()
      throw error
    }),
  })
  const running = new Map<Worker, Part>()
  let http: Part | undefined
  let watch: Watch | undefined
  const stop = async (): Promise<void> => {
    await http?.stop()
    for (const role of STOP_ORDER) {
      await running.get(role)?.stop()
      running.delete(role)
    }
    await watch?.stop()
    await live.close()
    await session.close()
  }
  const metrics = createMetrics({
    queueWaiting: async () => (await session.backends.queues.queue(environment.queueName).counts()).waiting,
    queueLagSeconds: async () => {
      const oldest = await session.backends.queues.oldestWaitingAt(environment.queueName)
      return oldest === undefined ? 0 : Math.max(0, clock.nowMs() - oldest.getTime()) / 1_000
    },
    openAlerts: () => countOpenAlerts(session.database),
    halts: () => session.revocations.halts(),
    channels: async () => {
      const [states, waiting] = await Promise.all([
        session.channelStates.list(),
        session.channelStates.waiting(),
      ])
      const channels = [...live.config.channels].map(([name, { type }]) => ({ name, type }))
      return channelReports(channels, { states, waiting, nowMs: clock.nowMs() }).map((report) => ({
        name: report.name,
        broken: report.state === 'broken',
        waiting: report.waiting,
      }))
    },
  })
  const wakers: (() => void)[] = []
  const ready = Promise.withResolvers<void>()
  const begins = ready.promise
  watch = startWatch({ ...options, begins, session, live, metrics, roles: () => [...running.keys()] })
  const context: PartContext = {
    ...options,
    begins,
    session,
    live,
    metrics,
    watch,
    onAlertsChanged: (wake) => wakers.push(wake),
    alertsChanged: () => wakers.forEach((wake) => wake()),
  }
  const addRoles = async (roles: readonly Role[]): Promise<void> => {
    for (const role of STOP_ORDER.toReversed().filter(
      (known) => roles.includes(known) && !running.has(known),
    )) {
      running.set(role, await WORKERS[role](context))
      log.info({ role }, 'started')
    }
  }
  try {
    const loading = live.load()
    loading.catch(() => undefined) // heard of below, unless a role fails before
    await addRoles(options.roles)
    await loading
    markStart('roles')
    http = await startHttp(context, options.roles.includes('api') ? 'api' : undefined)
  } catch (error) {
    await stop()
    throw error
  }
  markStart('ready')
  ready.resolve()
  log.info(
    {
      queue: session.backends.queues.backend,
      embedded: session.backends.embedded,
      roles: options.roles,
      startMs: startTimesMs(),
    },
    'keyhound runs',
  )
  return {
    session,
    live,
    queueName: environment.queueName,
    url: http.url,
    addRoles,
    stop,
  }
}
