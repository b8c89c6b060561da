import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startPostgresEarly } from '../../src/embedded/early-postgres.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { readPostmaster } from '../../src/embedded/postmaster-file.ts'

describe('a database that starts early', { timeout: 120_000 }, () => {
  let dataDir: string
  let server: EmbeddedPostgres | undefined
  const early = () => startPostgresEarly({ KEYHOUND_DATA_DIR: dataDir })
  const lockFile = () => join(dataDir, 'postgres', 'postmaster.pid')

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), `kh-test-${process.pid}-`))
    await (await startEmbeddedPostgres({ dataDir })).stop()
  })
  afterEach(async () => {
    await server?.stop()
    server = undefined
  })
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

  test('is none without a cluster, and none when the environment names another', () => {
    expect(startPostgresEarly({ KEYHOUND_DATA_DIR: join(dataDir, 'empty') })).toBeUndefined()
    for (const name of ['DATABASE_URL', 'DATABASE_URL_FILE']) {
      expect(startPostgresEarly({ KEYHOUND_DATA_DIR: dataDir, [name]: 'x' })).toBeUndefined()
    }
    expect(existsSync(lockFile())).toBe(false)
  })

  test('answers who takes it, and is not stopped by being dropped afterwards', async () => {
    const started = early()
    server = await started?.take(() => undefined)
    await started?.drop()
    expect(await one(server)).toEqual([{ one: 1 }])
  })

  test('is stopped when nobody takes it', async () => {
    await early()?.drop()
    expect(existsSync(lockFile())).toBe(false)
  })

  test('that dies while the program is loaded is started again', async () => {
    const started = early()
    await expect
      .poll(() => readPostmaster(join(dataDir, 'postgres'))?.pid, { interval: 1 })
      .toBeGreaterThan(0)
    process.kill(readPostmaster(join(dataDir, 'postgres'))?.pid ?? 0, 'SIGKILL')
    server = await started?.take(() => undefined)
    expect(await one(server)).toEqual([{ one: 1 }])
  })

  test('starts although the directory was closed to its user since', async () => {
    chmodSync(dataDir, 0o700)
    server = await early()?.take(() => undefined)
    expect(await one(server)).toEqual([{ one: 1 }])
  })
})

async function one(server: EmbeddedPostgres | undefined): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server?.url() })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>('select 1 as one')).rows
  } finally {
    await client.end()
  }
}
