import { createPostgresBackend, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { HOUR_MS } from '../../src/usage/duration.ts'
import { usageEvent, type WireEvent } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { testRedisUrl } from '../harness/redis.ts'

export type BackendName = 'redis' | 'postgres'

/** The servers of one scenario: a database of its own and, for the Redis backend, a Redis database of its own. */
export interface Servers {
  readonly databaseUrl: string
  /** For a keyhound process. */
  readonly env: Readonly<Record<string, string>>
  /** A queue as an outside gateway opens it: with plain BullMQ, by the published interface only. */
  openQueue(): GatewayQueue
}

export interface GatewayQueue {
  push(jobs: readonly unknown[]): Promise<void>
  close(): Promise<void>
}

export async function serversFor(backend: BackendName): Promise<Servers> {
  const databaseUrl = await testDatabase()
  if (backend === 'postgres') {
    return {
      databaseUrl,
      env: { DATABASE_URL: databaseUrl },
      openQueue: () =>
        gatewayQueue(
          new Queue('usage-events', { connection: { connectionString: databaseUrl } }, createPostgresBackend),
        ),
    }
  }
  const redisUrl = await testRedisUrl()
  return {
    databaseUrl,
    env: { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl },
    openQueue: () => {
      const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
      return gatewayQueue(new Queue('usage-events', { connection }), () => connection.disconnect())
    },
  }
}

function gatewayQueue(
  queue: Pick<Queue, 'addBulk' | 'close'>,
  afterClose: () => void = () => undefined,
): GatewayQueue {
  return {
    push: async (jobs) => {
      await queue.addBulk(jobs.map((data) => ({ name: 'usage', data })))
    },
    close: async () => {
      await queue.close()
      afterClose()
    },
  }
}

/** Two weeks of a key at its steady work, in jobs of 500 events: every hour 12 requests from Germany. */
export function history(keyId: string, nowMs: number, days = 14): { readonly events: WireEvent[] }[] {
  const jobs: { events: WireEvent[] }[] = []
  const startMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS - days * 24 * HOUR_MS
  let events: WireEvent[] = []
  for (let hourMs = startMs; hourMs < nowMs - HOUR_MS; hourMs += HOUR_MS) {
    for (let minute = 2; minute < 60; minute += 5) {
      const timestamp = new Date(hourMs + minute * 60_000).toISOString()
      events.push(
        usageEvent({
          key_id: keyId,
          timestamp,
          ip: '80.128.10.20',
          model: 'gpt-5-mini',
          team_id: 'payments',
        }),
      )
    }
    if (events.length >= 500) {
      jobs.push({ events })
      events = []
    }
  }
  return [...jobs, { events }]
}

/** A thief's burst within the last seconds: another country, a dear model, many requests. */
export function theft(keyId: string, nowMs: number, requests = 400): { readonly events: WireEvent[] } {
  return {
    events: Array.from({ length: requests }, (_, index) =>
      usageEvent({
        key_id: keyId,
        timestamp: nowMs - (index % 20) * 100,
        ip: '86.120.1.9',
        model: 'claude-opus-4-1',
        team_id: 'payments',
        cost_usd: 0.09,
      }),
    ),
  }
}
