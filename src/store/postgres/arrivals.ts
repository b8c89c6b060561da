import { sql, type RawBuilder } from 'kysely'
import type { Database } from './database.ts'

interface Look {
  /** By the database's clock; no later than its snapshot. */
  readonly atMs: number
  /** The oldest transaction that was running. */
  readonly oldest: number
  /** The first transaction that had not begun. */
  readonly next: number
  /** When the server was started. */
  readonly server: string
}

/** What has been written since the last look, as conditions on the rows of a table. */
export interface News {
  /** True for rows that came since; in the snapshot of the statement that holds it. */
  readonly isNew: RawBuilder<boolean>
  /** No transaction that wrote such a row began before this instant of the database's clock. */
  readonly writtenFromMs: number
}

/**
 * Tells which rows were written since this process last looked, without a column for it: every row version knows the
 * transaction that wrote it (xmin), and a snapshot knows the oldest transaction that it did not see the end of. A row that
 * the last look could not see was written by that transaction or a later one. Some that it did see may come again.
 */
export class Arrivals {
  /** The looks since which transactions began whose end the last one has not seen; ascending. */
  #looks: Look[] = []

  /**
   * Notes that a look begins: to be called in the transaction that reads the rows, in one snapshot with them. `news` is
   * undefined at the first look, and when the server is another than at the last: then all rows are news. Call `seen` when
   * what was read is kept; without it the next look finds the same again.
   */
  async begin(
    trx: Database,
  ): Promise<{ readonly atMs: number; readonly news: News | undefined; readonly seen: () => void }> {
    const look = await lookNow(trx)
    const last = this.#looks.at(-1)
    const isSameServer = last?.server === look.server
    return {
      atMs: look.atMs,
      news: last !== undefined && isSameServer ? this.#newsSince(last) : undefined,
      seen: () => {
        this.#looks = isSameServer ? [...this.#looks, look] : [look]
        const complete = this.#looks.findLastIndex(({ next }) => next <= look.oldest)
        if (complete > 0) this.#looks.splice(0, complete)
        // A transaction that is open for so long makes every look read back to its beginning; one more does not matter.
        if (this.#looks.length > LOOKS_KEPT) this.#looks.splice(1, 1)
      },
    }
  }

  #newsSince(last: Look): News {
    // When a look did not see a transaction begin, all that the transaction did came after it.
    const complete = this.#looks.findLast(({ next }) => next <= last.oldest)
    return {
      // age() counts back from now, so it knows how to compare numbers that wrap around.
      isNew: sql<boolean>`age(xmin) <= age(${String(last.oldest % XIDS)}::xid)`,
      writtenFromMs: complete?.atMs ?? -Infinity,
    }
  }
}

const LOOKS_KEPT = 1_000
/** Rows hold the lower 32 bits of a transaction's number. */
const XIDS = 2 ** 32

async function lookNow(trx: Database): Promise<Look> {
  const { rows } = await sql<{ at: number; oldest: string; next: string; server: string }>`
    select
      date_part('epoch', now()) * 1000 as at,
      pg_snapshot_xmin(pg_current_snapshot())::text as oldest,
      pg_snapshot_xmax(pg_current_snapshot())::text as next,
      pg_postmaster_start_time()::text as server`.execute(trx)
  const row = rows[0]
  if (row === undefined) throw new Error('the database did not say which transactions are running')
  return { atMs: row.at, oldest: Number(row.oldest), next: Number(row.next), server: row.server }
}
