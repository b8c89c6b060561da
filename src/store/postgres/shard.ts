import { sql, type RawBuilder } from 'kysely'
import type { Shard } from '../engine-store.ts'

/** SQL that is true for keys of the shard. The hash may change with a major version of PostgreSQL: nothing stores it. */
export function inShard(shard: Shard, keyId: RawBuilder<unknown>): RawBuilder<boolean> {
  if (shard.count === 1) return sql<boolean>`true`
  return sql<boolean>`mod(hashtext(${keyId})::bigint + 2147483648, ${sql.lit(shard.count)}) = ${sql.lit(shard.index)}`
}
