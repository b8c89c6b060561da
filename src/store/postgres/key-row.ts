import { sql, type Selectable } from 'kysely'
import type { KeyAttributes } from '../../usage/event.ts'
import type { Rollup, UsageTotals } from '../../usage/rollup.ts'
import { coordinatesOf, type SourceUsage } from '../../usage/source.ts'
import type { Database } from './database.ts'
import type { UsageRollupTable, UsageSourceTable } from './usage-tables.ts'

/** The attributes of a key, from a row that holds them. */
export function toKey(row: {
  key_id: string
  team_id: string | null
  environment: string | null
}): KeyAttributes {
  return { keyId: row.key_id, teamId: row.team_id ?? undefined, environment: row.environment ?? undefined }
}

/** The attributes of each of the keys; of one that has never been used, its id only. */
export async function keyAttributes(
  db: Database,
  keyIds: Iterable<string>,
): Promise<Map<string, KeyAttributes>> {
  const { rows } = await sql<{ key_id: string; team_id: string | null; environment: string | null }>`
    select wanted.key_id, k.team_id, k.environment
    from unnest(${[...new Set(keyIds)]}::text[]) as wanted (key_id)
    left join api_key as k on k.key_id = wanted.key_id`.execute(db)
  return new Map(rows.map((row) => [row.key_id, toKey(row)]))
}

/** A row of `usage_rollup`, or a sum of such rows, as the rollup it holds. */
export function toRollup(row: Selectable<UsageRollupTable>): Rollup {
  return {
    keyId: row.key_id,
    bucketMs: row.bucket.getTime(),
    model: row.model,
    country: row.country === '' ? undefined : row.country,
    ...toTotals(row),
  }
}

/** A row of `usage_source` as the source it holds. */
export function toSource(row: Selectable<UsageSourceTable>): SourceUsage {
  const { latitude, longitude } = row
  return {
    keyId: row.key_id,
    bucketMs: row.bucket.getTime(),
    address: row.address,
    country: row.country ?? undefined,
    ...coordinatesOf(latitude === null || longitude === null ? undefined : { latitude, longitude }),
    ...toTotals(row),
    firstMs: row.first_ts.getTime(),
    lastMs: row.last_ts.getTime(),
  }
}

function toTotals(row: Counters): UsageTotals {
  return {
    requests: row.requests,
    refused: row.refused,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cachedInputTokens: row.cached_input_tokens,
    costNanoUsd: row.cost_nano_usd,
    unpriced: row.unpriced,
  }
}

type Counters = Omit<UsageRollupTable, 'bucket' | 'key_id' | 'model' | 'country'>
