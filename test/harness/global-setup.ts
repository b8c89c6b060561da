import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { migrateQueueSchema } from '../../src/queue/queue-schema.ts'
import { migrate } from '../../src/store/postgres/migrate.ts'
import { copyDataDirectory } from './data-directory.ts'
import { withDatabase } from './database-url.ts'
import { startRedisServer } from './redis-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A URL of the test server's maintenance database. */
    adminDatabaseUrl: string
    /** The migrated database that every test database is a copy of. */
    templateDatabase: string
    redisUrl: string
    /** A data directory whose embedded PostgreSQL was made and stopped; only to be copied. */
    usedDataDirectory: string
  }
}

const DIRECTORY_PREFIX = 'kh-test-'

/**
 * Brings up what all test files share, real servers both: PostgreSQL (embedded and thrown away, or
 * KEYHOUND_TEST_DATABASE_URL) with a migrated template database, and Redis (from PATH, or KEYHOUND_TEST_REDIS_URL).
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  sweepDeadRuns()
  const redis = await provideRedis()
  try {
    const usedDataDirectory = await makeDataDirectory()
    const database = await provideDatabase(usedDataDirectory)
    project.provide('redisUrl', redis.url)
    project.provide('usedDataDirectory', usedDataDirectory)
    project.provide('adminDatabaseUrl', database.adminUrl)
    project.provide('templateDatabase', database.template)
    return async () => {
      await database.stop()
      rmSync(usedDataDirectory, { recursive: true, force: true })
      await redis.stop()
    }
  } catch (error) {
    await redis.stop()
    throw error
  }
}

async function provideRedis(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env['KEYHOUND_TEST_REDIS_URL']
  if (given) return { url: given, stop: async () => {} }
  const server = await startRedisServer()
  return { url: server.url, stop: () => server.kill() }
}

async function makeDataDirectory(): Promise<string> {
  const dataDir = newDirectory()
  const server = await startEmbeddedPostgres({ dataDir, durability: 'none' })
  await server.stop()
  return dataDir
}

async function provideDatabase(usedDataDirectory: string) {
  const given = process.env['KEYHOUND_TEST_DATABASE_URL']
  const server = given ? undefined : await startThrowAway(usedDataDirectory)
  const adminUrl = given ?? server?.url('postgres') ?? ''
  const template = `kh_template_${process.pid}`
  const stop = async () => {
    if (given) await dropTestDatabases(adminUrl)
    await server?.stop()
  }
  try {
    await query(adminUrl, `drop database if exists ${template}`)
    await query(adminUrl, `create database ${template}`)
    await migrate(withDatabase(adminUrl, template))
    await migrateQueueSchema(withDatabase(adminUrl, template))
    await query(adminUrl, `alter database ${template} with is_template true allow_connections false`)
  } catch (error) {
    await stop()
    throw error
  }
  return { adminUrl, template, stop }
}

function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`))
}

async function startThrowAway(usedDataDirectory: string) {
  const dataDir = newDirectory()
  copyDataDirectory(usedDataDirectory, dataDir)
  const server = await startEmbeddedPostgres({ dataDir, durability: 'none' })
  return {
    url: (database: string) => server.url(database),
    stop: async () => {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** On a server that stays, the databases of this run must not. */
async function dropTestDatabases(adminUrl: string): Promise<void> {
  const names = await query(
    adminUrl,
    `select datname from pg_database where datname = 'kh_template_${process.pid}' or datname like 'kh_test_${process.pid}_%'`,
  )
  for (const { datname } of names as { datname: string }[]) {
    await query(adminUrl, `alter database ${datname} with is_template false`)
    await query(adminUrl, `drop database ${datname} with (force)`)
  }
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  } finally {
    await client.end()
  }
}

/** Removes what runs left behind that were killed; their servers ended with them. */
function sweepDeadRuns(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${DIRECTORY_PREFIX}(?:redis-)?(\\d+)-`).exec(name)?.[1]
    if (!pid || isAlive(Number(pid))) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {
      // another user's run; his next one removes it
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
