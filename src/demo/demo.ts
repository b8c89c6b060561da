import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Clock } from '../clock.ts'
import { startDaemon, type Daemon } from '../daemon/daemon.ts'
import type { Logger } from '../daemon/log.ts'
import type { DeliveryReport } from '../notify/deliver.ts'
import { MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import { DemoFleet } from './fleet.ts'
import { demoConfig, demoEnvironment } from './settings.ts'
import { startSlackStandIn } from './slack-stand-in.ts'
import { Traffic } from './traffic.ts'

/** What the demo shows while it runs; all of it for people. */
export interface DemoStage {
  say(text: string): void
  progress(label: string, total: number): { update(done: number): void; end(): void }
  message(report: DeliveryReport): void
}

export interface DemoSummary {
  readonly events: number
  readonly alerts: number
  readonly deliveries: number
  /** From the thief's first request to the first alert. */
  readonly seconds_to_first_alert: number
  /** From the thief's first request to the first message that arrived. */
  readonly seconds_to_first_delivery: number
  /** The whole demo so far. */
  readonly seconds: number
}

export interface DemoRun {
  readonly daemon: Daemon
  readonly fleet: DemoFleet
  /** Resolves when the theft has been alerted and the message has arrived. */
  readonly summary: DemoSummary
  /** Goes on with the live traffic until the signal aborts. */
  continueUntil(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

/** The thief waits until the fleet has been seen at its normal work. */
const PEACE_MS = 4 * SECOND_MS
const ALERT_WITHIN_MS = MINUTE_MS

/**
 * The whole of keyhound on a fresh database: learns the history of a small fleet, then watches its live traffic while a
 * thief uses one key. Everything is real but the fleet and the far end of Slack.
 */
export async function runDemo(given: {
  readonly stage: DemoStage
  readonly clock: Clock
  readonly log: Logger
}): Promise<DemoRun> {
  const { stage, clock, log } = given
  const startedMs = clock.nowMs()
  const dataDir = await mkdtemp(join(tmpdir(), 'keyhound-demo-'))
  // Run by root, PostgreSQL serves as another user and must be able to walk through.
  await chmod(dataDir, 0o755)
  const watch = new DeliveryWatch(stage)
  const slack = await startSlackStandIn(() => watch.arrived())
  const fleet = new DemoFleet({ nowMs: startedMs })
  const daemon = await startDaemon({
    environment: demoEnvironment(dataDir),
    config: demoConfig(slack.url, fleet.ownersTimeZone),
    roles: ['ingest', 'api'],
    clock,
    log,
    dataDir,
    learnSettleMs: 0,
    onDelivery: (report) => watch.reported(report, clock.nowMs()),
  })
  const stop = async (): Promise<void> => {
    await daemon.stop()
    await slack.close()
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    const traffic = new Traffic(daemon, fleet, clock)
    await learnHistory(traffic, stage)
    await daemon.addRoles(['detect', 'notify'])
    await waitUntilLearnt(daemon, stage)
    stage.say(`Live: ${fleet.keyCount} keys at their normal work ...`)
    await traffic.run(PEACE_MS)
    stage.say(`A thief has found a key. It is 3 a.m. for its owners.`)
    const theftMs = clock.nowMs()
    await traffic.run(ALERT_WITHIN_MS, { theft: true, until: () => watch.firstDeliveryMs !== undefined })
    const summary = await summarise(daemon, { traffic, watch, theftMs, startedMs, nowMs: clock.nowMs() })
    return {
      daemon,
      fleet,
      summary,
      continueUntil: async (signal) => {
        await traffic.run(Number.POSITIVE_INFINITY, { theft: true, until: () => signal.aborted })
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Notes what arrived at the stand-in and what the daemon says it delivered. */
class DeliveryWatch {
  readonly #stage: DemoStage
  #arrived = 0
  firstDeliveryMs: number | undefined

  constructor(stage: DemoStage) {
    this.#stage = stage
  }

  arrived(): void {
    this.#arrived += 1
  }

  get count(): number {
    return this.#arrived
  }

  reported(report: DeliveryReport, nowMs: number): void {
    if (report.outcome.kind !== 'delivered') return
    this.firstDeliveryMs ??= nowMs
    this.#stage.message(report)
  }
}

async function learnHistory(traffic: Traffic, stage: DemoStage): Promise<void> {
  const hours = [...traffic.fleet.history()].flat()
  stage.say(
    `History: three weeks of ${traffic.fleet.keyCount} API keys, ${hours.length.toLocaleString('en-US')} requests.`,
  )
  const progress = stage.progress('storing ', hours.length)
  await traffic.push(hours)
  for (;;) {
    const stored = await traffic.stored()
    progress.update(stored)
    if (stored >= hours.length) break
    await delay(100)
  }
  progress.end()
}

async function waitUntilLearnt(daemon: Daemon, stage: DemoStage): Promise<void> {
  // The hour that is open, and the one before it for its first minutes, are not learnt yet.
  const left = async (): Promise<number> => {
    const { rows } = await sql<{ count: number }>`
      select count(*) from unlearnt_hour where hour < now() - interval '3 hours'`.execute(
      daemon.session.database,
    )
    return rows[0]?.count ?? 0
  }
  const total = await left()
  const progress = stage.progress('learning', total)
  for (let open = total; open > 0; open = await left()) {
    progress.update(total - open)
    await delay(100)
  }
  progress.update(total)
  progress.end()
}

async function summarise(
  daemon: Daemon,
  {
    traffic,
    watch,
    theftMs,
    startedMs,
    nowMs,
  }: { traffic: Traffic; watch: DeliveryWatch; theftMs: number; startedMs: number; nowMs: number },
): Promise<DemoSummary> {
  const { alerts } = await daemon.session.operators.listAlerts({ limit: 200 })
  const first = Math.min(
    ...alerts.map((alert) => alert.openedAt.getTime()).filter((openedMs) => openedMs >= theftMs),
  )
  if (watch.firstDeliveryMs === undefined || !Number.isFinite(first)) {
    throw new Error(`the theft was not alerted and delivered within ${ALERT_WITHIN_MS / SECOND_MS} seconds`)
  }
  const seconds = (ms: number): number => Math.round(ms / 100) / 10
  return {
    events: traffic.pushed,
    alerts: alerts.length,
    deliveries: watch.count,
    seconds_to_first_alert: seconds(first - theftMs),
    seconds_to_first_delivery: seconds(watch.firstDeliveryMs - theftMs),
    seconds: seconds(nowMs - startedMs),
  }
}
