import { randomBytes } from 'node:crypto'
import type { Database } from './database.ts'

const NAME = 'key_hash_secret'

/**
 * The 32 bytes that hash key ids which look like secrets. Made once and kept in the database, so that every replica
 * hashes alike, today and after a restart.
 */
export async function keyHashSecret(db: Database): Promise<Buffer> {
  await db
    .insertInto('setting')
    .values({ name: NAME, value: randomBytes(32).toString('base64') })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute()
  const { value } = await db
    .selectFrom('setting')
    .select('value')
    .where('name', '=', NAME)
    .executeTakeFirstOrThrow()
  return Buffer.from(value, 'base64')
}
