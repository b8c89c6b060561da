import { createPostgresBackend, Queue, Worker } from 'bullmq'
import pg from 'pg'
import { postgresBulkClaim } from './postgres-bulk-claim.ts'
import { placeOf, type QueueBackend, QueueUnavailableError, reasonOf } from './backend.ts'
import { migrateQueueSchema } from './queue-schema.ts'

const CONNECT_TIMEOUT_MS = 4_000
const PING_TIMEOUT_MS = 2_000
const QUERY_TIMEOUT_MS = 10_000
const PRODUCER_CONNECTIONS = 3
const WORKER_CONNECTIONS = 6
/** Hundreds of jobs that end together wait in line for these; one that gave up would count as failed. */
const WORKER_CONNECT_TIMEOUT_MS = 20_000

/** BullMQ on PostgreSQL, in BullMQ's default schema `bullmq`, so that a gateway needs only the URL. */
export async function openPostgresBackend(databaseUrl: string): Promise<QueueBackend> {
  await prepare(databaseUrl)
  const base = { connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true }
  const connection = { ...base, application_name: 'keyhound-queue', query_timeout: QUERY_TIMEOUT_MS }
  const pinger = new pg.Pool({
    ...base,
    application_name: 'keyhound-queue-ping',
    max: 1,
    connectionTimeoutMillis: PING_TIMEOUT_MS,
    query_timeout: PING_TIMEOUT_MS,
  })
  pinger.on('error', () => {}) // the next ping tells
  return {
    kind: 'postgres',
    warnings: [],
    createQueue: (name) =>
      new Queue(name, { connection: { ...connection, max: PRODUCER_CONNECTIONS } }, createPostgresBackend),
    createWorker: (name, processor, options) =>
      new Worker(
        name,
        processor,
        {
          ...options,
          connection: {
            ...connection,
            max: WORKER_CONNECTIONS,
            connectionTimeoutMillis: WORKER_CONNECT_TIMEOUT_MS,
          },
        },
        createPostgresBackend,
      ),
    bulkClaim: postgresBulkClaim,
    ping: async () => {
      await pinger.query('select 1')
    },
    close: () => pinger.end(),
  }
}

async function prepare(databaseUrl: string): Promise<void> {
  if (!/^postgres(ql)?:\/\/./.test(databaseUrl) || !URL.canParse(databaseUrl)) {
    throw new QueueUnavailableError(
      'DATABASE_URL is not a PostgreSQL URL. Expected postgres://user:password@host:5432/database',
    )
  }
  try {
    await migrateQueueSchema(databaseUrl, { connectTimeoutMs: CONNECT_TIMEOUT_MS })
  } catch (error) {
    throw new QueueUnavailableError(
      `The queue cannot use PostgreSQL at ${placeOf(databaseUrl)} (DATABASE_URL): ${reasonOf(error)}`,
      { cause: error },
    )
  }
}
