import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { describeDatabase, isUnavailable, openDatabase, type Database } from './database.ts'

/** Found from src/store/postgres and from dist/store/postgres alike. */
const SQL_DIRECTORY = new URL('../../../sql/', import.meta.url)
/** `unique nulls not distinct` came with it. */
const OLDEST_SERVER = 15

/** The schema could not be brought up to date. The message says why and what to do, without the password. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

export interface MigrateOptions {
  /** Where the migrations are, `NNNN_name.sql`; the product's own by default. */
  readonly directory?: URL
}

/**
 * Brings the schema of the database up to date, under a lock: of many replicas that call it at once, one does the work
 * and the others wait. All of it happens, or nothing. Throws MigrationError.
 */
export async function migrate(
  databaseUrl: string,
  { directory = SQL_DIRECTORY }: MigrateOptions = {},
): Promise<{ applied: string[] }> {
  const database = describeDatabase(databaseUrl)
  if (database === undefined) {
    throw new MigrationError(
      'DATABASE_URL is not a PostgreSQL URL. Expected postgres://user:password@host:5432/database',
    )
  }
  const files = await readMigrations(directory)
  // No time-out: to build an index on a large table may take long, and the others wait for it.
  const db = openDatabase(databaseUrl, { connectionsMax: 2, statementTimeoutMs: 0 })
  try {
    await checkServer(db, `DATABASE_URL (${database})`)
    if (await isCurrent(db, files)) return { applied: [] }
    const { error, results } = await new Migrator({
      db,
      provider: { getMigrations: () => Promise.resolve(Object.fromEntries(files.map(toMigration))) },
      nameComparator: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
    }).migrateToLatest()
    if (error !== undefined)
      throw failure(error, results?.find((result) => result.status === 'Error')?.migrationName)
    // Once more, for what another version of keyhound applied while this one waited.
    await checkApplied(db, files)
    return { applied: (results ?? []).map((result) => result.migrationName) }
  } finally {
    await db.destroy()
  }
}

interface MigrationFile {
  readonly name: string
  readonly text: string
  readonly sha256: string
}

async function readMigrations(directory: URL): Promise<MigrationFile[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).toSorted()
  return Promise.all(
    names.map(async (name) => {
      // A checkout that rewrote the line ends must not look like a changed migration.
      const text = (await readFile(new URL(name, directory), 'utf8')).replaceAll('\r\n', '\n')
      return {
        name: name.replace(/\.sql$/, ''),
        text,
        sha256: createHash('sha256').update(text).digest('hex'),
      }
    }),
  )
}

function toMigration({ name, text, sha256 }: MigrationFile): [string, Migration] {
  const up = async (db: Kysely<unknown>): Promise<void> => {
    await sql.raw(text).execute(db)
    await sql`insert into migration_checksum (name, sha256) values (${name}, ${sha256})`.execute(db)
  }
  return [name, { up }]
}

async function checkServer(db: Database, where: string): Promise<void> {
  try {
    const { rows } = await sql<{ server: number }>`
      select current_setting('server_version_num')::int / 10000 as server`.execute(db)
    const server = rows[0]?.server ?? 0
    if (server < OLDEST_SERVER) {
      throw new MigrationError(
        `${where}: PostgreSQL ${server} is too old. keyhound needs ${OLDEST_SERVER} or newer.`,
      )
    }
  } catch (error) {
    if (error instanceof MigrationError) throw error
    const hint = isUnavailable(error)
      ? 'Is PostgreSQL running there, and reachable?'
      : 'Check user, password and database name.'
    throw new MigrationError(`${where}: cannot connect: ${messageOf(error)}. ${hint}`, { cause: error })
  }
}

/** True when every migration is applied, as it is in its file: then there is nothing to lock and nothing to look up. */
async function isCurrent(db: Database, files: readonly MigrationFile[]): Promise<boolean> {
  return (await checkApplied(db, files)) === files.length
}

/** Throws when what is applied is not what the files say; else says how many of them are. */
async function checkApplied(db: Database, files: readonly MigrationFile[]): Promise<number> {
  const { rows } = await sql<{ exists: boolean }>`
    select to_regclass('migration_checksum') is not null as exists`.execute(db)
  if (rows[0]?.exists !== true) return 0
  const applied = await db.selectFrom('migration_checksum').selectAll().orderBy('name').execute()
  for (const { name, sha256 } of applied) {
    const file = files.find((candidate) => candidate.name === name)
    if (file === undefined) {
      throw new MigrationError(
        `the database is newer than this keyhound: it has migration ${name}, which this version does not know. Run a newer version.`,
      )
    }
    if (file.sha256 !== sha256) {
      throw new MigrationError(
        `sql/${name}.sql was changed after it was applied. Restore the file, and put the change into a new migration.`,
      )
    }
  }
  return applied.length
}

function failure(error: unknown, name: string | undefined): MigrationError {
  if (error instanceof MigrationError) return error
  const what = name === undefined ? 'the migrations failed' : `migration ${name} failed, nothing was changed`
  return new MigrationError(`${what}: ${messageOf(error)}`, { cause: error })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
