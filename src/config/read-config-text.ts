import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConfigError } from './problem.ts'

const MAX_BYTES = 1_024 * 1_024

/** The text of a configuration file, `name` in problems. Throws ConfigError when it cannot be read or is no text. */
export async function readConfigText(file: string, name = file): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (error) {
    throw unreadable(name, `cannot be read: ${reasonOf(error)}`, error)
  }
  if (bytes.length > MAX_BYTES)
    throw unreadable(name, 'is larger than 1 MiB; this is no configuration of keyhound')
  const text = decode(bytes)
  if (text === undefined || text.includes('\0')) throw unreadable(name, 'is not a text in UTF-8')
  return text
}

/** Tells two contents of the file apart. */
export function configDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function unreadable(file: string, message: string, cause?: unknown): ConfigError {
  const problem = { file, line: 1, column: 1, path: '', message: `the configuration ${message}` }
  return new ConfigError([problem], { cause })
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
  return REASONS[code] ?? code
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check --config or KEYHOUND_CONFIG',
  EACCES: 'permission denied; let the user that runs keyhound read it',
  EISDIR: 'it is a directory; name the file in it',
  ENOTDIR: 'part of its path is not a directory',
}
