import { setTimeout as delay } from 'node:timers/promises'
import { sql, type Transaction } from 'kysely'
import type { Database } from './database.ts'
import type { Tables } from './tables.ts'

/**
 * Whoever waits for a lock on a table that is in use makes everybody wait who comes after: so that is how long ingest may
 * be held up. A batch of ingest is over in less.
 */
const LOCK_TIMEOUT_MS = 250
const TRIES = 4
const PAUSE_MS = 500

/**
 * Runs `work`, which locks tables that others use, in a transaction. Gives up waiting for a lock soon, lets the others
 * work, and tries again. False when no try got its locks; nothing has changed then.
 */
export async function withBriefLocks(
  db: Database,
  work: (trx: Transaction<Tables>) => Promise<void>,
): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      await db.transaction().execute(async (trx) => {
        await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT_MS)}`.execute(trx)
        await work(trx)
      })
      return true
    } catch (error) {
      if (!isLockTimeout(error)) throw error
      if (tries === TRIES) return false
      await delay(PAUSE_MS)
    }
  }
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03'
}
