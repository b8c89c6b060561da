import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { KeyhoundProcess } from '../../test/e2e/keyhound-process.ts'
import { type HttpSink, startHttpSink } from '../../test/harness/http-sink.ts'
import { type Bench, median } from './bench.ts'
import { startServers } from './servers.ts'
import { type SentEvent, traffic } from './traffic.ts'

const EVENTS_PER_SECOND = 1_000
const SECONDS = 120
const SECONDS_QUICK = 40
/** One event of another key each time, dear enough to be told at once. Slack takes one message a second: not faster. */
const STOLEN_COST_USD = 900
const STOLEN_EVERY_TENTHS = 30
const LAST_MESSAGES_MS = 30_000

/** From an event's arrival in the queue to the request that tells Slack of it, while other events come all the time. */
export const latencyBench: Bench = async (run) => {
  const servers = await startServers()
  const slack = await startHttpSink()
  slack.answerAlways({ body: 'ok' })
  const directory = await mkdtemp(join(tmpdir(), 'keyhound-bench-'))
  const connection = new Redis(servers.redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue('usage-events', { connection })
  const configFile = join(directory, 'alerts.yaml')
  await writeFile(configFile, configOf(slack.url))
  const daemon = new KeyhoundProcess(['start'], {
    DATABASE_URL: servers.databaseUrl,
    REDIS_URL: servers.redisUrl,
    KEYHOUND_CONFIG: configFile,
  })
  try {
    await daemon.ready()
    const acceptedAt = new Map<string, number>()
    const told = watch(slack, acceptedAt)
    await send(queue, run.quick ? SECONDS_QUICK : SECONDS, acceptedAt)
    const deadline = performance.now() + LAST_MESSAGES_MS
    while (told.seconds.length < acceptedAt.size && performance.now() < deadline) await delay(100)
    told.stop()
    return { results: [resultOf(told.seconds, acceptedAt.size)] }
  } finally {
    await daemon.stop()
    await queue.close()
    connection.disconnect()
    await slack.close()
    await rm(directory, { recursive: true, force: true })
    await servers.stop()
  }
}

function configOf(slackUrl: string): string {
  return `version: 1
channels:
  oncall: { type: slack, url: "${slackUrl}/services/T0/B0/x" }
routes:
  - channels: [oncall]
notify: { group_wait: 0s }
schedule: { tick: 5s }
detectors:
  spend_threshold: { limits: [{ window: 1h, usd: 500 }] }
revoke: { mode: "off" }
`
}

/** One job for every tenth of a second of usual traffic, and one for each stolen key. */
async function send(queue: Queue, seconds: number, acceptedAt: Map<string, number>): Promise<void> {
  const startMs = Date.now()
  const usual = traffic({ events: seconds * EVENTS_PER_SECOND, eventsPerSecond: EVENTS_PER_SECOND, startMs })
  for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
    const events = Array.from({ length: EVENTS_PER_SECOND / 10 }, () => usual.next().value as SentEvent)
    await queue.add('usage', { events })
    if (tenth % STOLEN_EVERY_TENTHS === 5) {
      const [model] = events
      const keyId = `stolen-${tenth}-${process.pid}`
      const stolen = { ...model, id: keyId, key_id: keyId, cost_usd: STOLEN_COST_USD, status_code: 200 }
      await queue.add('usage', { ...stolen, timestamp: new Date().toISOString() })
      acceptedAt.set(keyId, performance.now())
    }
    await delay(Math.max(0, startMs + (tenth + 1) * 100 - Date.now()))
  }
}

/** Notes when a request that names a stolen key arrives. */
function watch(
  slack: HttpSink,
  acceptedAt: ReadonlyMap<string, number>,
): { seconds: number[]; stop(): void } {
  const seconds: number[] = []
  const told = new Set<string>()
  let seen = 0
  const timer = setInterval(() => {
    const now = performance.now()
    for (const { body } of slack.requests.slice(seen)) {
      seen += 1
      for (const [key] of body.matchAll(/stolen-\d+-\d+/g)) {
        const at = acceptedAt.get(key)
        if (at === undefined || told.has(key)) continue
        told.add(key)
        seconds.push((now - at) / 1_000)
      }
    }
  }, 10)
  return { seconds, stop: () => clearInterval(timer) }
}

function resultOf(seconds: readonly number[], expected: number) {
  const sorted = seconds.toSorted((a, b) => a - b)
  const p99 = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.NaN
  return {
    name: 'event in the queue to request to Slack',
    unit: 's',
    figures: [
      { name: 'median', median: median(sorted), rounds: [] },
      { name: 'p99', median: seconds.length < expected ? Number.NaN : p99, rounds: [] },
    ],
    goals: [
      {
        name: 'p99',
        measured: seconds.length < expected ? Number.NaN : p99,
        gate: 8,
        goal: 6,
        better: 'lower',
        unit: 's',
      } as const,
    ],
    notes: [
      `${EVENTS_PER_SECOND} events a second of 5,000 keys, a stolen key every 3 seconds; tick 5 s, group_wait 0 s`,
      `${seconds.length} of ${expected} stolen keys were told`,
    ],
  }
}
