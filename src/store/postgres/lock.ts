import { sql, type Kysely, type Transaction } from 'kysely'

/**
 * The advisory locks of keyhound's database, all of them. They live in one class of two-integer locks, so that they
 * cannot meet the locks of other software in the same database.
 */
const LOCK_CLASS = 0x6b657968 // 'keyh'
const LOCKS = {
  /**
   * Held by whatever changes alerts, incidents or revocations. One lock for all of them: such changes are rare and take
   * milliseconds, and one lock can neither deadlock nor let two ticks open or announce the same thing.
   */
  alerting: 1,
  /** Held by the one replica that prunes. */
  retention: 2,
  /** Held while a partition is made. */
  partitions: 3,
  /** Held by whatever changes self-alerts. */
  selfWatch: 4,
  /** Held by the one replica that makes the digest. */
  digest: 5,
} as const
export type LockName = keyof typeof LOCKS

/** Waits for the lock, and holds it until the transaction ends. */
export async function lock<Tables>(trx: Transaction<Tables>, name: LockName): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sql.lit(LOCK_CLASS)}, ${sql.lit(LOCKS[name])})`.execute(trx)
}

/** Runs `work` while holding the lock, on one connection; returns undefined without running it when another holds it. */
export async function ifUnlocked<Tables, Result>(
  db: Kysely<Tables>,
  name: LockName,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  const key = sql`${sql.lit(LOCK_CLASS)}, ${sql.lit(LOCKS[name])}`
  return db.connection().execute(async (connection) => {
    const { rows } = await sql<{ held: boolean }>`select pg_try_advisory_lock(${key}) as held`.execute(
      connection,
    )
    if (rows[0]?.held !== true) return undefined
    try {
      return await work()
    } finally {
      // A connection that died has lost its lock already.
      await sql`select pg_advisory_unlock(${key})`.execute(connection).catch(() => undefined)
    }
  })
}
