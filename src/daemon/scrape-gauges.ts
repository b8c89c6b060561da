import { Gauge, type Registry } from 'prom-client'
import type { AlertStatus } from '../alert/alert.ts'
import type { DetectorName } from '../detect/finding.ts'
import { HALT_CAUSES, type Halt } from '../store/revocation-store.ts'
import { CONDITIONS } from '../watch/conditions.ts'

/** What the self-watch knows, asked at the time of a scrape. */
export interface WatchSources {
  /** What is wrong with keyhound, as of the last look: a condition, or a condition and what it is about after a colon. */
  readonly topics: () => readonly string[]
  /** When each detector last judged a key without failing, epoch milliseconds. */
  readonly detectorSuccesses: () => ReadonlyMap<DetectorName, number>
}

/** How one channel of the configuration does. */
export interface ChannelGauge {
  readonly name: string
  readonly broken: boolean
  readonly waiting: number
}

/** What is asked at the time of a scrape; a question that fails leaves its gauge out. */
export interface Gauges {
  readonly queueWaiting?: () => Promise<number>
  /** For how many seconds the oldest job that waits has waited; 0 when none waits. */
  readonly queueLagSeconds?: () => Promise<number>
  readonly openAlerts?: () => Promise<readonly { readonly status: AlertStatus; readonly count: number }[]>
  readonly channels?: () => Promise<readonly ChannelGauge[]>
  readonly halts?: () => Promise<readonly Pick<Halt, 'cause'>[]>
}

/** Adds what the self-watch knows; once. */
export function addWatchGauges(registry: Registry, { topics, detectorSuccesses }: WatchSources): void {
  const registers = [registry]
  const problems: Gauge = new Gauge({
    name: 'keyhound_problems',
    help: 'Things that are wrong with keyhound itself, as this process sees them, by condition (see the runbook).',
    labelNames: ['condition'],
    registers,
    collect: () => {
      problems.reset()
      for (const { name } of CONDITIONS) problems.set({ condition: name }, 0)
      for (const topic of topics()) problems.inc({ condition: topic.split(':')[0] ?? topic })
    },
  })
  const successes: Gauge = new Gauge({
    name: 'keyhound_detector_last_success_timestamp',
    help: 'When the detector last judged a key without failing in this process, in seconds since 1970.',
    labelNames: ['detector'],
    registers,
    collect: () => {
      for (const [detector, atMs] of detectorSuccesses()) successes.set({ detector }, atMs / 1_000)
    },
  })
}

function addChannelGauges(registry: Registry, channels: () => Promise<readonly ChannelGauge[]>): void {
  const gaugeOf = (name: string, help: string, value: (channel: ChannelGauge) => number): void => {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: ['channel'],
      registers: [registry],
      collect: () =>
        refreshed(gauge, async () => {
          for (const channel of await channels()) gauge.set({ channel: channel.name }, value(channel))
        }),
    })
  }
  gaugeOf(
    'keyhound_channel_broken',
    '1 while nothing gets through on the channel: it was refused for good, or has failed for ten minutes.',
    ({ broken }) => Number(broken),
  )
  gaugeOf(
    'keyhound_deliveries_waiting',
    'Messages that wait for the channel, retries among them.',
    ({ waiting }) => waiting,
  )
}

/** Adds the gauges whose questions are given. */
export function addGauges(registry: Registry, gauges: Gauges): void {
  const { queueWaiting, queueLagSeconds, openAlerts, halts, channels } = gauges
  const registers = [registry]
  if (channels !== undefined) addChannelGauges(registry, channels)
  if (queueWaiting !== undefined) {
    const gauge: Gauge = new Gauge({
      name: 'keyhound_queue_waiting',
      help: 'Jobs that wait in the queue of usage events.',
      registers,
      collect: () => refreshed(gauge, async () => gauge.set(await queueWaiting())),
    })
  }
  if (queueLagSeconds !== undefined) {
    const gauge: Gauge = new Gauge({
      name: 'keyhound_queue_lag_seconds',
      help: 'Age of the oldest job that waits in the queue of usage events; 0 when none waits.',
      registers,
      collect: () => refreshed(gauge, async () => gauge.set(await queueLagSeconds())),
    })
  }
  if (halts !== undefined) {
    const gauge: Gauge = new Gauge({
      name: 'keyhound_revocations_halted',
      help: '1 while nothing is revoked without asking, by cause.',
      labelNames: ['cause'],
      registers,
      collect: () =>
        refreshed(gauge, async () => {
          const causes = (await halts()).map(({ cause }) => cause)
          for (const cause of HALT_CAUSES) gauge.set({ cause }, causes.includes(cause) ? 1 : 0)
        }),
    })
  }
  if (openAlerts !== undefined) {
    const gauge: Gauge = new Gauge({
      name: 'keyhound_open_alerts',
      help: 'Alerts that are not resolved, by status.',
      labelNames: ['status'],
      registers,
      collect: () =>
        refreshed(gauge, async () => {
          for (const { status, count } of await openAlerts()) gauge.set({ status }, count)
        }),
    })
  }
}

/** A scrape must succeed while the queue is away, and must not repeat what was true before: the gauge is empty then. */
async function refreshed(gauge: Gauge, ask: () => Promise<void>): Promise<void> {
  gauge.reset()
  try {
    await ask()
  } catch {
    gauge.remove()
  }
}
