import { setTimeout as delay } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { placeOf, type QueueBackend, QueueUnavailableError, reasonOf } from './backend.ts'
import { redisBulkClaim } from './redis-bulk-claim.ts'

const CONNECT_TIMEOUT_MS = 4_000
const PING_TIMEOUT_MS = 2_000
const COMMAND_TIMEOUT_MS = 5_000
const START_TIMEOUT_MS = 4_500
const LONGEST_RECONNECT_MS = 2_000
const OLDEST_REDIS = 5 // BullMQ's own limit

/** BullMQ on Redis or Valkey, under BullMQ's default key prefix, so that a gateway needs only the URL. */
export async function openRedisBackend(redisUrl: string): Promise<QueueBackend> {
  const client = await connect(redisUrl)
  return {
    kind: 'redis',
    warnings: await warningsOf(client),
    // All queues share the one client; it is ours to end, because BullMQ cannot end one whose server is away.
    createQueue: (name) => new Queue(name, { connection: client }),
    createWorker: (name, processor, options) => {
      const connection = {
        url: redisUrl,
        connectTimeout: CONNECT_TIMEOUT_MS,
        retryStrategy,
        maxRetriesPerRequest: null,
      }
      return new Worker(name, processor, { ...options, connection })
    },
    bulkClaim: (name) => redisBulkClaim(client, name),
    ping: async () => {
      const timer = new AbortController()
      const late = delay(PING_TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
        throw new Error(`Redis did not answer a ping within ${PING_TIMEOUT_MS} ms`)
      })
      await Promise.race([client.ping(), late]).finally(() => timer.abort())
    },
    close: async () => client.disconnect(),
  }
}

async function connect(redisUrl: string): Promise<Redis> {
  if (!/^rediss?:\/\/./.test(redisUrl) || !URL.canParse(redisUrl)) {
    throw new QueueUnavailableError(
      'REDIS_URL is not a Redis URL. Expected redis://[user:password@]host[:port][/database]',
    )
  }
  const client = new Redis(redisUrl, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // Who adds a job wants to know at once that Redis is away, not to wait in a list that dies with the process.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy,
  })
  let lastError: unknown
  client.on('error', (error) => (lastError = error))
  const timer = new AbortController()
  const late = delay(START_TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${START_TIMEOUT_MS} ms`)
  })
  try {
    await Promise.race([client.connect().then(() => client.ping()), late])
    return client
  } catch (error) {
    client.disconnect()
    const reason = reasonOf(lastError ?? error)
    throw new QueueUnavailableError(
      `Redis cannot be reached at ${placeOf(redisUrl)} (REDIS_URL): ${reason}`,
      {
        cause: error,
      },
    )
  } finally {
    timer.abort()
  }
}

function retryStrategy(times: number): number {
  return Math.min(100 * times, LONGEST_RECONNECT_MS)
}

async function warningsOf(client: Redis): Promise<string[]> {
  // INFO, not CONFIG: hosted servers forbid CONFIG.
  const info = await client.info()
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim()
  const version = field('redis_version') ?? ''
  if (Number.parseInt(version, 10) < OLDEST_REDIS) {
    client.disconnect()
    throw new QueueUnavailableError(
      `The Redis of REDIS_URL has version ${version}; ${OLDEST_REDIS}.0 or newer is needed.`,
    )
  }
  const policy = field('maxmemory_policy')
  if (policy === undefined || policy === 'noeviction') return []
  return [
    `Redis has maxmemory-policy ${policy} and may throw jobs away when its memory is full: ` +
      'set maxmemory-policy to noeviction.',
  ]
}
