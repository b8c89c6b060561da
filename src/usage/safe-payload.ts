import { EVENT_BYTES_MAX } from './event-schema.ts'
import { hashSecret, hashSecretsIn, isSecretName, looksLikeSecret } from './secret-key-id.ts'

const DEPTH_KEPT = 32
/** Longest text that is searched for secrets whole; more than this is cut first. */
const TEXT_KEPT = EVENT_BYTES_MAX

/**
 * What may be kept and shown of a refused event: the same JSON with secrets replaced by hashes, at most EVENT_BYTES_MAX
 * long and DEPTH_KEPT deep. What is left out is replaced by a word that says so, and what no jsonb takes (NUL, half a
 * surrogate pair) by U+FFFD: it travels through a queue that may be PostgreSQL. Never throws.
 */
export function safePayload(raw: unknown, hashKey: Uint8Array): unknown {
  return copy(raw, { hashKey, bytesLeft: EVENT_BYTES_MAX }, 0)
}

interface Copying {
  readonly hashKey: Uint8Array
  bytesLeft: number
}

function copy(value: unknown, copying: Copying, depth: number): unknown {
  if (typeof value === 'string') return copyText(value, copying)
  copying.bytesLeft -= 8
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (typeof value !== 'object') return `[${typeof value}]`
  if (depth >= DEPTH_KEPT) return '[nested deeper]'
  return Array.isArray(value) ? copyArray(value, copying, depth) : copyObject(value, copying, depth)
}

function copyArray(items: readonly unknown[], copying: Copying, depth: number): unknown[] {
  const kept: unknown[] = []
  for (const item of items) {
    if (copying.bytesLeft <= 0) return [...kept, '[cut]']
    kept.push(copy(item, copying, depth + 1))
  }
  return kept
}

function copyObject(object: object, copying: Copying, depth: number): unknown {
  const kept: [string, unknown][] = []
  for (const [name, value] of Object.entries(object as Readonly<Record<string, unknown>>)) {
    if (copying.bytesLeft <= 0) {
      kept.push(['[cut]', true])
      break
    }
    const hidden =
      typeof value === 'string' && (isSecretName(name) || (name === 'key_id' && looksLikeSecret(value)))
    kept.push([
      copyText(name, copying),
      hidden ? hashSecret(value, copying.hashKey) : copy(value, copying, depth + 1),
    ])
  }
  // fromEntries defines properties, so a name such as __proto__ stays a name.
  return Object.fromEntries(kept)
}

function copyText(text: string, copying: Copying): string {
  const whole = text.length <= TEXT_KEPT ? text : withoutTail(text.slice(0, TEXT_KEPT))
  const safe = hashSecretsIn(whole, copying.hashKey).toWellFormed().replaceAll('\0', '\ufffd')
  const left = Math.max(copying.bytesLeft, 0)
  const bytes = Buffer.byteLength(JSON.stringify(safe))
  copying.bytesLeft -= bytes
  if (bytes <= left && whole === text) return safe
  // JSON takes at most six bytes for a UTF-16 unit, so a sixth of the room always fits.
  return `${safe.slice(0, Math.floor(left / 6)).toWellFormed()}[cut]`
}

/** Drops a last word that the cut may have gone through: half a secret would not be recognised. */
function withoutTail(text: string): string {
  let end = text.length
  while (end > 0 && /[\w.~+/=-]/.test(text.charAt(end - 1))) end -= 1
  return text.slice(0, end)
}
