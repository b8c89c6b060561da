import { sql, type RawBuilder } from 'kysely'
import type { Rollup, UsageTotals } from '../../usage/rollup.ts'
import { coordinatesOf, type SourceUsage } from '../../usage/source.ts'

/**
 * The rows of one key packed into one JSON text by the database. A tick reads hundreds of thousands of rows: as rows of
 * their own, fields and dates parsed one by one, they keep this process busy three times as long, and other work with it.
 */
export type PackedRows = string

const totals = sql`requests, refused, input_tokens, output_tokens, cached_input_tokens, cost_nano_usd, unpriced`

/** SQL of the aggregate that packs rows of `usage_rollup` in the order that `KeyUsage` wants. */
export const packedRollups = packed(
  sql`${epochMs(sql`bucket`)}, to_json(model), to_json(country), ${totals}`,
  sql`bucket, model, country`,
)

/** The same for rows of `usage_source`. */
export const packedSources = packed(
  sql`${epochMs(sql`bucket`)}, to_json(address), coalesce(to_json(country)::text, 'null'),
    coalesce(to_json(latitude)::text, 'null'), coalesce(to_json(longitude)::text, 'null'),
    ${epochMs(sql`first_ts`)}, ${epochMs(sql`last_ts`)}, ${totals}`,
  sql`bucket, address`,
)

function packed(columns: RawBuilder<unknown>, order: RawBuilder<unknown>): RawBuilder<PackedRows> {
  return sql<PackedRows>`string_agg(concat_ws(',', ${columns}), '],[' order by ${order})`
}

function epochMs(instant: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(extract(epoch from ${instant}) * 1000)::bigint`
}

/** What `packedRollups` made of the rows of a key. */
export function unpackRollups(keyId: string, rows: PackedRows): Rollup[] {
  return unpacked<[number, string, string, ...Counters]>(rows).map(
    ([bucketMs, model, country, ...counters]) => ({
      keyId,
      bucketMs,
      model,
      country: country === '' ? undefined : country,
      ...totalsOf(counters),
    }),
  )
}

/** What `packedSources` made of the rows of a key. */
export function unpackSources(keyId: string, rows: PackedRows): SourceUsage[] {
  return unpacked<PackedSource>(rows).map(
    ([bucketMs, address, country, latitude, longitude, firstMs, lastMs, ...counters]) => ({
      keyId,
      bucketMs,
      address,
      country: country ?? undefined,
      ...coordinatesOf(latitude === null || longitude === null ? undefined : { latitude, longitude }),
      ...totalsOf(counters),
      firstMs,
      lastMs,
    }),
  )
}

type Counters = [number, number, number, number, number, number, number]
type PackedSource = [
  bucketMs: number,
  address: string,
  country: string | null,
  latitude: number | null,
  longitude: number | null,
  firstMs: number,
  lastMs: number,
  ...Counters,
]

/** Sound because the two aggregates above are all that makes such texts. */
function unpacked<Row>(rows: PackedRows): Row[] {
  return JSON.parse(`[[${rows}]]`) as Row[]
}

function totalsOf(counters: Counters): UsageTotals {
  const [requests, refused, inputTokens, outputTokens, cachedInputTokens, costNanoUsd, unpriced] = counters
  return { requests, refused, inputTokens, outputTokens, cachedInputTokens, costNanoUsd, unpriced }
}
