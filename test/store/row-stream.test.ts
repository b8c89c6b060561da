import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { eachRow } from '../../src/store/postgres/row-stream.ts'
import { eachRollup, eachSource } from '../../src/store/postgres/usage-rows.ts'
import { StoreUnavailableError } from '../../src/store/usage-store.ts'
import { testDatabase } from '../harness/database.ts'

let db: Database

beforeAll(async () => {
  db = openDatabase(await testDatabase(), { connectionsMax: 1 })
})
afterAll(async () => db.destroy())

describe('rows one by one', () => {
  test('are shown in the order of the query, all of them before it is over', async () => {
    const seen: unknown[] = []
    const query = sql`select n, ${'of'} || n as name from generate_series(1, ${20_000}::int) as n order by n desc`
    await eachRow(db, query, ([n, name]) => seen.push([n, name]))
    expect(seen).toHaveLength(20_000)
    expect(seen[0]).toEqual([20_000, 'of20000'])
    expect(seen.at(-1)).toEqual([1, 'of1'])
  })

  test('a query that fails after some rows fails as any other, and the connection serves the next', async () => {
    const seen: unknown[] = []
    const query = sql`select 12 / (4 - n) from generate_series(1, 9) as n`
    await expect(eachRow(db, query, ([value]) => seen.push(value))).rejects.toThrow('division by zero')
    expect(seen).toEqual([4, 6, 12])
    await eachRow(db, sql`select 'well'`, ([value]) => seen.push(value))
    expect(seen.at(-1)).toBe('well')
  })

  test('what their taker throws is thrown, once, and the transaction can go on', async () => {
    let shown = 0
    const numbers = await db.transaction().execute(async (trx) => {
      const taken = eachRow(trx, sql`select generate_series(1, 1000)`, () => {
        shown += 1
        throw new Error('enough')
      })
      await expect(taken).rejects.toThrow('enough')
      return sql<{ n: number }>`select 7 as n`.execute(trx)
    })
    expect(shown).toBe(1)
    expect(numbers.rows).toEqual([{ n: 7 }])
  })

  test('a database that goes away among them is said to be away', async () => {
    const other = openDatabase(await testDatabase())
    const query = sql`select pg_terminate_backend(pg_backend_pid()) where 1 = ${1}`
    await expect(eachRow(other, query, () => undefined)).rejects.toThrow(StoreUnavailableError)
    await other.destroy()
  })
})

const ODD = `a "quoted", {braced}\\ \n model 🔑`

describe('rows of usage', () => {
  test('a rollup keeps its counters to 2^53 - 1 and its texts to the character', async () => {
    const seen: unknown[] = []
    const most = String(Number.MAX_SAFE_INTEGER)
    const rows = sql`from (values ('k', ${ODD}, '', '2026-03-01T12:34:00.000Z'::timestamptz, 0, 1, 2, ${most}::bigint, 4, 5, 6))
      as row (key_id, model, country, bucket, requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced)`
    await eachRollup(db, rows, (row, numbers) => seen.push(row, [...numbers]))
    expect(seen).toEqual([
      { keyId: 'k', model: ODD, country: '' },
      [Date.parse('2026-03-01T12:34:00Z'), 0, 1, 2, Number.MAX_SAFE_INTEGER, 4, 5, 6],
    ])
  })

  test('a source keeps its times to the millisecond and its place to the digit, and tells when it is not known', async () => {
    const seen: unknown[] = []
    const at = (instant: string) => sql`${instant}::timestamptz`
    const times = sql`${at('2026-03-01T12:30:00Z')}, ${at('2026-03-01T12:31:02.345Z')}, ${at('2026-03-01T12:39:59.999Z')}`
    const rows = sql`from (values
        ('k', '::1', null, null::float8, null::float8, ${times}, 1, 0, 0, 0, 0, 0, 0),
        ('k', '8.8.8.8', 'US', 37.751, -97.822, ${times}, 2, 0, 0, 0, 0, 0, 0)
      ) as row (key_id, address, country, latitude, longitude, bucket, first_ts, last_ts, requests, refused, input_tokens,
        output_tokens, cached_input_tokens, cost_nano_usd, unpriced)`
    await eachSource(db, rows, (row, numbers) => seen.push({ ...row, numbers: [...numbers] }))
    const whole = ['2026-03-01T12:30:00Z', '2026-03-01T12:31:02.345Z', '2026-03-01T12:39:59.999Z'].map(
      Date.parse,
    )
    const spent = (requests: number) => whole.concat([requests, 0, 0, 0, 0, 0, 0])
    const unknown = { country: null, latitude: null, longitude: null }
    expect(seen).toEqual([
      { keyId: 'k', address: '::1', ...unknown, numbers: spent(1) },
      {
        keyId: 'k',
        address: '8.8.8.8',
        country: 'US',
        latitude: 37.751,
        longitude: -97.822,
        numbers: spent(2),
      },
    ])
  })
})
