import { runMigrations } from 'bullmq'
import pg from 'pg'

/**
 * Brings the tables of BullMQ's PostgreSQL backend (schema `bullmq`, its default, so that a gateway's plain
 * `createPostgresBackend` finds them) up to date. BullMQ does it in one transaction under an advisory lock of its own:
 * safe from any number of processes at once.
 */
export async function migrateQueueSchema(
  databaseUrl: string,
  options: { connectTimeoutMs?: number } = {},
): Promise<void> {
  const { connectTimeoutMs = 10_000 } = options
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: connectTimeoutMs })
  client.on('error', () => {}) // a connection that breaks also fails the query that runs
  await client.connect()
  try {
    await runMigrations(client)
  } finally {
    await client.end().catch(() => {})
  }
}
