import { hkdfSync } from 'node:crypto'
import type { Database } from './database.ts'
import { storedSecret } from './stored-secret.ts'

/**
 * The key that signs the links in messages: derived from a secret of its own, made once and kept in the database, so that
 * any replica can check what another one has signed. Deleting the row makes every link that was sent invalid.
 */
export async function linkKey(db: Database): Promise<Uint8Array> {
  const secret = await storedSecret(db, 'link_secret')
  return new Uint8Array(hkdfSync('sha256', secret, '', 'keyhound action links 1', 32))
}
