import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { migrate } from '../../src/store/postgres/migrate.ts'
import { withDatabase } from '../harness/database-url.ts'

const SQL = join(import.meta.dirname, '../../sql')
let directory: string
let admin: ReturnType<typeof openDatabase>

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhound-sql-'))
  await cp(SQL, directory, { recursive: true })
  admin = openDatabase(inject('adminDatabaseUrl'))
})

afterAll(async () => {
  await rm(directory, { recursive: true })
  await admin.destroy()
})

/** A URL of a new database with nothing in it. */
async function emptyDatabase(): Promise<string> {
  const name = `${inject('templateDatabase').replace('template', 'test')}_${randomBytes(6).toString('hex')}`
  await sql`create database ${sql.id(name)}`.execute(admin)
  return withDatabase(inject('adminDatabaseUrl'), name)
}

const own = () => ({ directory: pathToFileURL(`${directory}/`) })
const FIRST = '0001_first_schema'

test('of four replicas that migrate at once, one does the work and none fails', async () => {
  const url = await emptyDatabase()
  const results = await Promise.all(Array.from({ length: 4 }, () => migrate(url)))
  expect(results.flatMap(({ applied }) => applied).filter((name) => name === FIRST)).toEqual([FIRST])
  expect(await migrate(url)).toEqual({ applied: [] })
})

test('a migration that fails leaves nothing behind, and works once it is mended', async () => {
  const url = await emptyDatabase()
  const broken = join(directory, '9001_broken.sql')
  await writeFile(broken, 'create table half (id int); select 1/0;')
  await expect(migrate(url, own())).rejects.toThrow(
    /migration 9001_broken failed, nothing was changed: division by zero/,
  )
  await writeFile(broken, 'create table whole (id int);')
  const { applied } = await migrate(url, own())
  expect(applied).toContain(FIRST)
  expect(applied).toContain('9001_broken')
  await rm(broken)
})

test('a file that was changed after it was applied is refused by name', async () => {
  const url = await emptyDatabase()
  await migrate(url, own())
  const file = join(directory, `${FIRST}.sql`)
  const text = await readFile(file, 'utf8')
  await writeFile(file, `${text}\n-- changed`)
  await expect(migrate(url, own())).rejects.toThrow(
    /sql\/0001_first_schema\.sql was changed after it was applied/,
  )
  // Other line ends, as a checkout may write them, are no change.
  await writeFile(file, text.replaceAll('\n', '\r\n'))
  expect(await migrate(url, own())).toEqual({ applied: [] })
  await writeFile(file, text)
})

test('a database that is newer than the program is refused', async () => {
  const url = await emptyDatabase()
  const newer = join(directory, '9002_newer.sql')
  await writeFile(newer, 'create table newer (id int);')
  await migrate(url, own())
  await rm(newer)
  await expect(migrate(url, own())).rejects.toThrow(/newer than this keyhound: it has migration 9002_newer/)
})

test.each([
  [
    'nobody listens there',
    'postgres://ann:hunter2@127.0.0.1:1/keyhound',
    /^DATABASE_URL \(127\.0\.0\.1:1\/keyhound\): cannot connect: .*ECONNREFUSED/,
  ],
  ['it is another kind of URL', 'mysql://ann:hunter2@db/keyhound', /^DATABASE_URL is not a PostgreSQL URL/],
  ['it is no URL at all', 'postgres://ann:hunter2@[db/keyhound', /^DATABASE_URL/],
])(
  'a database that cannot be reached because %s is an error that names the variable, not the password',
  async (_, url, message) => {
    const error: unknown = await migrate(url).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'MigrationError' })
    expect((error as Error).message).toMatch(message)
    expect(String(error) + String((error as Error).cause)).not.toContain('hunter2')
  },
)

test('a database that does not exist is named', async () => {
  const url = withDatabase(inject('adminDatabaseUrl'), 'no_such_database')
  await expect(migrate(url)).rejects.toThrow(/DATABASE_URL .*"no_such_database" does not exist/)
})

test('every index says which query it serves, by naming a file of the store', async () => {
  const url = await emptyDatabase()
  await migrate(url)
  const db = openDatabase(url)
  const { rows } = await sql<{ name: string; comment: string | null }>`
    select c.relname as name, obj_description(c.oid, 'pg_class') as comment
    from pg_class as c
    join pg_index as i on i.indexrelid = c.oid
    join pg_class as t on t.oid = i.indrelid
    where c.relnamespace = 'public'::regnamespace and not c.relispartition and t.relname not like 'kysely%'
    order by 1`.execute(db)
  await db.destroy()
  expect(rows.length).toBeGreaterThan(20)
  for (const { name, comment } of rows) {
    const files = comment?.match(/[a-z-]+\.ts/g) ?? []
    expect(files, `index ${name} has no comment that names a file`).not.toEqual([])
    for (const file of files) {
      await expect(
        readFile(join(import.meta.dirname, '../../src/store/postgres', file)),
        `index ${name} names ${file}`,
      ).resolves.toBeDefined()
    }
  }
})
