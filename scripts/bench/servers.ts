import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { migrateQueueSchema } from '../../src/queue/queue-schema.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { migrate } from '../../src/store/postgres/migrate.ts'
import { startRedisServer } from '../../test/harness/redis-server.ts'

/** A PostgreSQL and a Redis of the bench's own, as an operator would set them up: nothing committed is ever lost. */
export interface BenchServers {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly database: Database
  /** Process ids, for what they cost. */
  readonly pids: { readonly postgres: number; readonly redis: number }
  /** Empties what usage and queues wrote, so that each contestant starts from the same state. */
  clear(): Promise<void>
  stop(): Promise<void>
}

/** What is written in docs/performance.md about the servers. */
export const SERVER_SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '4GB',
} as const

export async function startServers(): Promise<BenchServers> {
  const dataDir = await mkdtemp(join(tmpdir(), 'keyhound-bench-'))
  let postgres = await startEmbeddedPostgres({ dataDir })
  const setUp = openDatabase(postgres.url())
  for (const [name, value] of Object.entries(SERVER_SETTINGS)) {
    await sql`alter system set ${sql.ref(name)} = ${sql.lit(value)}`.execute(setUp)
  }
  await setUp.destroy()
  await postgres.stop() // shared_buffers is read at the start
  postgres = await startEmbeddedPostgres({ dataDir })
  const databaseUrl = postgres.url()
  await migrate(databaseUrl)
  await migrateQueueSchema(databaseUrl)
  const redis = await startRedisServer()
  const database = openDatabase(databaseUrl)
  return {
    databaseUrl,
    redisUrl: redis.url,
    database,
    pids: { postgres: postgres.pid, redis: await pidOf(redis.url) },
    async clear() {
      await sql`
        truncate usage_event, usage_rollup, usage_source, unlearnt_hour, api_key, rejected_event`.execute(
        database,
      )
      await sql`truncate bullmq.job, bullmq.event cascade`.execute(database)
      await sql`checkpoint`.execute(database)
    },
    async stop() {
      await database.destroy()
      await redis.kill()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function pidOf(redisUrl: string): Promise<number> {
  const client = new Redis(redisUrl)
  const info = await client.info('server')
  client.disconnect()
  return Number(/^process_id:(\d+)/m.exec(info)?.[1])
}
