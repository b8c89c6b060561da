import { sql, type RawBuilder } from 'kysely'
import type { Database } from './database.ts'

/**
 * Rows packed by the database into one text per column. A tick may read hundreds of thousands of rows: as rows of their
 * own, fields and dates parsed one by one, they keep this process busy ten times as long, and the database twice.
 */
export interface PackedColumns {
  /** Number of rows. */
  readonly rows: number
  readonly texts: readonly (readonly string[])[]
  readonly numbers: readonly (readonly number[])[]
}

const COUNTERS = [
  'requests',
  'refused',
  'input_tokens',
  'output_tokens',
  'cached_input_tokens',
  'cost_nano_usd',
  'unpriced',
].map((name) => sql.ref(name))

/** Stands for a coordinate that is not known: JSON has no NaN. */
export const NOWHERE = 999

/** Texts: key, model, country ('' when it is not known). Numbers: bucket, then the seven counters. `from` is SQL of rows of `usage_rollup`. */
export async function packedRollups(db: Database, from: RawBuilder<unknown>): Promise<PackedColumns> {
  return packed(db, from, {
    texts: [sql`key_id`, sql`model`, sql`country`],
    numbers: [epochMs(sql`bucket`), ...COUNTERS],
  })
}

/** Texts: key, address, country. Numbers: bucket, latitude, longitude, first and last time, then the seven counters. `from` is SQL of rows of `usage_source`. */
export async function packedSources(db: Database, from: RawBuilder<unknown>): Promise<PackedColumns> {
  return packed(db, from, {
    texts: [sql`key_id`, sql`address`, sql`coalesce(country, '')`],
    numbers: [
      epochMs(sql`bucket`),
      sql`coalesce(latitude, ${sql.lit(NOWHERE)})`,
      sql`coalesce(longitude, ${sql.lit(NOWHERE)})`,
      epochMs(sql`first_ts`),
      epochMs(sql`last_ts`),
      ...COUNTERS,
    ],
  })
}

async function packed(
  db: Database,
  from: RawBuilder<unknown>,
  columns: {
    readonly texts: readonly RawBuilder<unknown>[]
    readonly numbers: readonly RawBuilder<unknown>[]
  },
): Promise<PackedColumns> {
  const texts = columns.texts.map(
    (column, index) => sql`array_to_json(array_agg(${column}))::text as ${sql.ref(`t${index}`)}`,
  )
  const numbers = columns.numbers.map(
    (column, index) => sql`array_agg(${column})::text as ${sql.ref(`n${index}`)}`,
  )
  const result = await sql<Record<string, string | null>>`
    select ${sql.join([...texts, ...numbers])} ${from}`.execute(db)
  const row = result.rows[0] ?? {}
  const keys = parsed<string>(row['t0'])
  return {
    rows: keys.length,
    texts: [keys, ...texts.slice(1).map((_, index) => parsed<string>(row[`t${index + 1}`]))],
    numbers: numbers.map((_, index) => parsed<number>(row[`n${index}`])),
  }
}

/** Sound because the aggregates above are all that makes such texts: `["a","b"]` and `{1,2}`; null when there are no rows. */
function parsed<Value>(column: string | null | undefined): Value[] {
  if (column === null || column === undefined) return []
  return JSON.parse(column.startsWith('{') ? `[${column.slice(1, -1)}]` : column) as Value[]
}

/** Of float8, which is exact to the millisecond and three times as fast as numeric. */
function epochMs(instant: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(date_part('epoch', ${instant}) * 1000)::bigint`
}
