import { sql, type RawBuilder } from 'kysely'
import type { Database } from './database.ts'
import { COUNTER_NAMES } from './rollup-counters.ts'
import { eachRow } from './row-stream.ts'

const COUNTERS = COUNTER_NAMES.map((name) => sql.ref(name))

/** A row of `usage_rollup`. `numbers` are its bucket and its seven counters, in an array that the next row uses again. */
export type OnRollup = (
  row: { readonly keyId: string; readonly model: string; readonly country: string },
  numbers: Float64Array,
) => void

/** Shows rows of `usage_rollup`; `from` is SQL of them. The country is '' when it is not known. */
export async function eachRollup(db: Database, from: RawBuilder<unknown>, onRow: OnRollup): Promise<void> {
  const numbers = new Float64Array(1 + COUNTERS.length)
  const columns = sql`key_id, model, country, ${integers([epochMs(sql`bucket`), ...COUNTERS])}`
  await eachRow(db, sql`select ${columns} ${from}`, ([keyId, model, country, counted]) => {
    readIntegers(counted as string, numbers)
    onRow({ keyId: keyId as string, model: model as string, country: country as string }, numbers)
  })
}

/** A row of `usage_source`. `numbers` are its bucket, first and last time, and its seven counters, in an array that is used again. */
export type OnSource = (
  row: {
    readonly keyId: string
    readonly address: string
    /** Null when it is not known, as the coordinates. */
    readonly country: string | null
    readonly latitude: number | null
    readonly longitude: number | null
  },
  numbers: Float64Array,
) => void

/** Shows rows of `usage_source`; `from` is SQL of them. */
export async function eachSource(db: Database, from: RawBuilder<unknown>, onRow: OnSource): Promise<void> {
  const numbers = new Float64Array(3 + COUNTERS.length)
  const times = ['bucket', 'first_ts', 'last_ts'].map((name) => epochMs(sql.ref(name)))
  const columns = sql`key_id, address, country, latitude, longitude, ${integers([...times, ...COUNTERS])}`
  await eachRow(
    db,
    sql`select ${columns} ${from}`,
    ([keyId, address, country, latitude, longitude, counted]) => {
      readIntegers(counted as string, numbers)
      onRow(
        {
          keyId: keyId as string,
          address: address as string,
          country: country as string | null,
          latitude: latitude as number | null,
          longitude: longitude as number | null,
        },
        numbers,
      )
    },
  )
}

/** Of float8, which is exact to the millisecond and three times as fast as numeric. */
function epochMs(instant: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(date_part('epoch', ${instant}) * 1000)::bigint`
}

/** One text for all the numbers of a row: a column for each takes twice as long to read. */
function integers(columns: readonly RawBuilder<unknown>[]): RawBuilder<unknown> {
  return sql`array[${sql.join(columns)}]::text`
}

/** Reads `{12,0,7}`: whole numbers that are not negative, up to 2^53. */
function readIntegers(text: string, into: Float64Array): void {
  let value = 0
  let count = 0
  for (let at = 1; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 48
    if (digit >= 0 && digit <= 9) value = value * 10 + digit
    else {
      into[count] = value
      count += 1
      value = 0
    }
  }
}
