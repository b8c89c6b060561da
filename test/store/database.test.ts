import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { expect, inject, test } from 'vitest'
import { describeDatabase, openDatabase, pingDatabase } from '../../src/store/postgres/database.ts'
import { StoreUnavailableError } from '../../src/store/usage-store.ts'
import { testDatabase } from '../harness/database.ts'

test('bigint and numeric are numbers, and connections name the program', async () => {
  const db = openDatabase(await testDatabase())
  const { rows } = await sql`
    select 9007199254740991::bigint as big, 1.5::numeric as num, current_setting('application_name') as name`.execute(
    db,
  )
  expect(rows).toEqual([{ big: Number.MAX_SAFE_INTEGER, num: 1.5, name: 'keyhound' }])
  await db.destroy()
})

test('a server that ends the connection in the middle of a query is unavailable, and the next query works', async () => {
  const url = await testDatabase()
  const errors: Error[] = []
  const db = openDatabase(url, { onError: (error) => errors.push(error) })
  const killer = openDatabase(url)
  await pingDatabase(db)
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)
  const end = () => sql`select pg_terminate_backend(${rows[0]?.pid})`.execute(killer)
  const hit = await db
    .transaction()
    .execute(async (trx) => {
      await sql`select 1`.execute(trx)
      await end()
      return sql`select 1`.execute(trx)
    })
    .catch((error: unknown) => error)
  expect(hit).toBeInstanceOf(StoreUnavailableError)
  await pingDatabase(db)
  await db.destroy()
  await killer.destroy()
})

test('connections that break while nobody uses them are told, and do no harm', async () => {
  const url = await testDatabase()
  const broken = Promise.withResolvers<Error>()
  const db = openDatabase(url, { onError: broken.resolve })
  const killer = openDatabase(url)
  await pingDatabase(db)
  const name = decodeURIComponent(new URL(url).pathname.slice(1))
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and pid <> pg_backend_pid()`.execute(
    killer,
  )
  expect(await broken.promise).toBeInstanceOf(Error)
  await pingDatabase(db)
  await db.destroy()
  await killer.destroy()
})

test('a server that takes connections and says nothing fails the ping within seconds', async () => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const db = openDatabase(`postgres://ann:hunter2@127.0.0.1:${port}/keyhound`)
  await expect(pingDatabase(db)).rejects.toThrow(StoreUnavailableError)
  for (const socket of sockets) socket.destroy()
  server.close()
  await db.destroy()
})

test('a wrong query is an error of its own, not an unavailable database', async () => {
  const db = openDatabase(await testDatabase())
  const error: unknown = await sql`select * from no_such_table`.execute(db).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: '42P01' })
  expect(error).not.toBeInstanceOf(StoreUnavailableError)
  await db.destroy()
})

test('a database is described without user and password', () => {
  expect(describeDatabase('postgres://ann:hunter2@db.example.com:6432/usage')).toBe(
    'db.example.com:6432/usage',
  )
  expect(describeDatabase('postgresql://ann:hunter2@localhost/usage?sslmode=disable')).toBe(
    'localhost:5432/usage',
  )
  expect(describeDatabase('postgres://keyhound@/usage?host=%2Fvar%2Frun')).toBe('/var/run, usage')
  expect(describeDatabase('redis://x')).toBeUndefined()
  expect(describeDatabase(inject('adminDatabaseUrl'))).not.toBeUndefined()
})
