import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '../secret.ts'

const FILE = 'api-token'

export interface ApiTokens {
  readonly tokens: readonly Secret[]
  /** The file that holds the token that keyhound made; undefined when the operator gave tokens. */
  readonly file: string | undefined
}

/**
 * The tokens that the API accepts: those of KEYHOUND_API_TOKENS, else one that is made at the first start and kept,
 * readable by the owner only, in the data directory. Two processes that start at once end up with the same one.
 */
export async function apiTokens(given: readonly Secret[] | undefined, dataDir: string): Promise<ApiTokens> {
  if (given !== undefined && given.length > 0) return { tokens: given, file: undefined }
  const file = join(dataDir, FILE)
  await mkdir(dataDir, { recursive: true })
  try {
    await keepNewToken(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new Error(
        `No API token could be kept in ${file}. Set KEYHOUND_API_TOKENS, or make the directory writable.`,
        {
          cause: error,
        },
      )
    }
  }
  const token = (await readFile(file, 'utf8')).trim()
  if (token === '')
    throw new Error(`${file} is empty. Delete it, and keyhound makes a new token at its next start.`)
  return { tokens: [new Secret(token)], file }
}

/** Written whole under another name first: who finds the file finds a token in it. Throws EEXIST when there is one. */
async function keepNewToken(file: string): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    await link(draft, file)
  } finally {
    await rm(draft, { force: true })
  }
}
