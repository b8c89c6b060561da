import { sql, type RawBuilder } from 'kysely'
import type { Shard } from '../engine-store.ts'
import type { Database } from './database.ts'

/**
 * Tells which rows were written since this process last looked, without a column for it: every row version knows the
 * transaction that wrote it (xmin), and a snapshot knows the oldest transaction that it did not see the end of. A row that
 * the last look could not see was written by that transaction or a later one. Some that it did see may come again.
 */
export class Arrivals {
  /** By shard: the oldest transaction that was running at the last look. */
  readonly #lastLooks = new Map<string, string>()

  /**
   * SQL that is true for rows of the statement's table that came since the last call for this shard; false at the first.
   * To be called in the transaction that reads the rows, in one snapshot with them.
   */
  async sinceLastLook(trx: Database, { index, count }: Shard): Promise<RawBuilder<boolean>> {
    const shard = `${index}/${count}`
    const before = this.#lastLooks.get(shard)
    const { rows } = await sql<{ oldest: string }>`
      select (pg_snapshot_xmin(pg_current_snapshot())::text::numeric % 4294967296)::text as oldest`.execute(
      trx,
    )
    const oldest = rows[0]?.oldest
    if (oldest !== undefined) this.#lastLooks.set(shard, oldest)
    // age() counts back from now, so it knows how to compare numbers that wrap around.
    return before === undefined ? sql<boolean>`false` : sql<boolean>`age(xmin) <= age(${before}::xid)`
  }
}
