import { randomBytes } from 'node:crypto'
import type { Database } from './database.ts'

/**
 * 32 random bytes kept in the database under a name, made once by whoever asks first: every replica gets the same, today
 * and after a restart.
 */
export async function storedSecret(db: Database, name: string): Promise<Buffer> {
  await db
    .insertInto('setting')
    .values({ name, value: randomBytes(32).toString('base64') })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute()
  const { value } = await db
    .selectFrom('setting')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirstOrThrow()
  return Buffer.from(value, 'base64')
}
