import type { Database } from './database.ts'
import { storedSecret } from './stored-secret.ts'

/** The 32 bytes that hash key ids which look like secrets: every replica hashes alike. */
export async function keyHashSecret(db: Database): Promise<Buffer> {
  return storedSecret(db, 'key_hash_secret')
}
