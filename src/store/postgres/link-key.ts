import { hkdfSync, randomBytes } from 'node:crypto'
import type { Database } from './database.ts'

const NAME = 'link_secret'

/**
 * The key that signs the links in messages: derived from a secret of its own, made once and kept in the database, so that
 * any replica can check what another one has signed. Deleting the row makes every link that was sent invalid.
 */
export async function linkKey(db: Database): Promise<Uint8Array> {
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
  return new Uint8Array(hkdfSync('sha256', Buffer.from(value, 'base64'), '', 'keyhound action links 1', 32))
}
