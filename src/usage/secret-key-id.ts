import { createHmac } from 'node:crypto'
import type { UsageEvent } from './event.ts'

/**
 * Formats of secrets that get into usage events by mistake: the key itself as `key_id`, a header in `metadata`.
 * A key is told from a plain id by its prefix and by how long and how random what follows is: `sk-team-1` and
 * `sk-production-eu` are ids. In doubt it is a secret: a hashed id is a nuisance, a stored secret is a leak. Bare hex and UUIDs are never taken
 * for secrets, because gateways use them as ids of keys.
 */
const FORMATS: readonly string[] = [
  // Credentials of an Authorization header.
  String.raw`[Bb]earer\s+[\w.~+/=-]{8,}`,
  String.raw`[Bb]asic\s+(?=\S*[0-9A-Z=])[\w+/=-]{12,}`,
  // OpenAI, Anthropic, OpenRouter, Langfuse, Stripe: the second word settles that it is a key.
  String.raw`sk-(?:ant|proj|svcacct|admin|or|lf|live|test)-[\w-]{8,}`,
  String.raw`[prs]k_(?:live|test)_\w{8,}`,
  // OpenAI, DeepSeek, LiteLLM, Cerebras, Perplexity and many more; `looksRandom` decides.
  String.raw`(?<generic>(?:c?sk|pk|pplx)[-_][\w-]{8,})`,
  // Google API keys and OAuth tokens.
  String.raw`AIza[\w-]{30,}`,
  String.raw`ya29\.[\w-]{20,}`,
  // Groq, xAI, Hugging Face, Replicate, Fireworks, Together, NVIDIA.
  String.raw`(?:gsk_|xai-|hf_|r8_|fw_|tgp_v1_|nvapi-)[\w-]{20,}`,
  // AWS access keys and Bedrock API keys.
  String.raw`(?:AKIA|ASIA)[A-Z0-9]{16}`,
  String.raw`ABSK[\w+/=]{30,}`,
  // GitHub, GitLab, Slack, npm, SendGrid, Standard Webhooks.
  String.raw`gh[oprsu]_[A-Za-z0-9]{30,}`,
  String.raw`github_pat_\w{22,}`,
  String.raw`glpat-[\w-]{20,}`,
  String.raw`xox[abeprs]-[\w-]{10,}`,
  String.raw`npm_[A-Za-z0-9]{36}`,
  String.raw`SG\.[\w-]{16,}\.[\w-]{16,}`,
  String.raw`whsec_[\w+/=]{20,}`,
  // JSON web tokens: a header and a payload that both begin with {". The header is bounded so that no text takes quadratic time.
  String.raw`eyJ[\w-]{8,1024}\.eyJ[\w-]{8,}(?:\.[\w-]*)?`,
  String.raw`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?`,
]
const SECRET = String.raw`(?<![A-Za-z0-9])(?:${FORMATS.join('|')})`
const ONE_SECRET = new RegExp(SECRET)
const ALL_SECRETS = new RegExp(SECRET, 'g')
/** No format is shorter. */
const SECRET_LENGTH_MIN = 11

/** Names of fields whose text is a secret whatever it looks like. */
const SECRET_NAME =
  /^(?:x[-_])?(?:api[-_]?key|(?:proxy[-_])?authorization|cookie|set[-_]cookie|password|passwd|secret|client[-_]secret|(?:access|refresh|id)[-_]token|private[-_]key)$/i

/** True when the text is or holds something in the format of a secret. */
export function looksLikeSecret(text: string): boolean {
  if (text.length < SECRET_LENGTH_MIN || isHex(text) || !ONE_SECRET.test(text)) return false
  for (const match of text.matchAll(ALL_SECRETS)) {
    if (isSecret(match.groups?.['generic'])) return true
  }
  return false
}

/** True for UUIDs and other bare hex, in which no secret is: every format has a letter past F. */
function isHex(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    const isHexDigit =
      (code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70) || code === 45
    if (!isHexDigit) return false
  }
  return true
}

/** True when a field of this name holds a secret: `api_key`, `Authorization`, `password`. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/**
 * `hashed-` and 128 bits of HMAC-SHA-256 under keyhound's own key: the same secret always becomes the same id, so a key
 * can still be followed, and nobody can test guesses without the key.
 */
export function hashSecret(secret: string, hashKey: Uint8Array): string {
  const bare = secret.replace(/^\s*(?:Bearer|Basic)\s+/i, '').trim()
  return `hashed-${createHmac('sha256', hashKey).update(bare).digest('base64url').slice(0, 22)}`
}

/** The text with each secret in it replaced by its hash. */
export function hashSecretsIn(text: string, hashKey: Uint8Array): string {
  if (text.length < SECRET_LENGTH_MIN) return text
  return text.replace(ALL_SECRETS, (found: string, ...rest: unknown[]) => {
    const { generic } = rest.at(-1) as { generic?: string }
    return isSecret(generic) ? hashSecret(found, hashKey) : found
  })
}

/** The event with every value that looks like a secret replaced by its hash, and how many were. The same event when none was. */
export function hashEventSecrets(
  event: UsageEvent,
  hashKey: Uint8Array,
): { readonly event: UsageEvent; readonly replaced: number } {
  if (isClean(event)) return { event, replaced: 0 }
  let replaced = 0
  // The whole value, and not only the secret in it: the hash is short, so the value stays within its limit.
  const whole = <T extends string | undefined>(value: T): T => {
    if (value === undefined || isKnownClean(value)) return value
    replaced += 1
    return hashSecret(value, hashKey) as T
  }
  const names = {
    id: looksLikeSecret(event.id) ? whole(event.id) : event.id,
    keyId: whole(event.keyId),
    model: whole(event.model),
    provider: whole(event.provider),
    teamId: whole(event.teamId),
    userId: whole(event.userId),
    environment: whole(event.environment),
  } satisfies Record<'id' | (typeof NAMES)[number], string | undefined>
  let metadata = event.metadata
  if (metadata !== undefined) {
    const clean = Object.entries(metadata).map(([name, value]) => {
      const shownName = isKnownClean(name) ? name : hashSecretsIn(name, hashKey)
      const shown = isSecretName(name) ? hashSecret(value, hashKey) : hashSecretsIn(value, hashKey)
      if (shown !== value || shownName !== name) replaced += 1
      return [shownName, shown] as const
    })
    // fromEntries defines properties, so a name such as __proto__ stays a name.
    if (clean.some(([name, value]) => metadata?.[name] !== value)) metadata = Object.fromEntries(clean)
  }
  return replaced === 0 ? { event, replaced } : { event: { ...event, ...names, metadata }, replaced }
}

/** True for an event in which nothing has to be replaced. Nearly always, and then this is all that is done. */
function isClean(event: UsageEvent): boolean {
  if (event.metadata !== undefined || looksLikeSecret(event.id)) return false
  for (const name of NAMES) {
    const value = event[name]
    if (value !== undefined && !isKnownClean(value)) return false
  }
  return true
}

/** The texts of an event that come again and again; ids do not. */
const NAMES = ['keyId', 'model', 'provider', 'teamId', 'userId', 'environment'] as const

// Names of models, keys, teams come again and again; the search costs a hundred times this look-up.
const CLEAN_KEPT = 20_000
const CLEAN_LENGTH_MAX = 64
let clean = new Set<string>()

function isKnownClean(value: string): boolean {
  if (value.length < SECRET_LENGTH_MIN || clean.has(value)) return true
  if (looksLikeSecret(value)) return false
  if (clean.size >= CLEAN_KEPT) clean = new Set()
  if (value.length <= CLEAN_LENGTH_MAX) clean.add(value)
  return true
}

/** A match is a secret, unless it is of the generic format and what follows its prefix is made of short words. */
function isSecret(generic: string | undefined): boolean {
  return generic === undefined || looksRandom(generic.slice(generic.search(/[-_]/) + 1))
}

const CAPITALS_FROM = 8
const MIXED_RUN = 8
const RUN_LONG = 12
const BODY_LONG = 16

/** Long, or with a capital, or with a long run, or with a run that mixes letters and digits: not an id made of short words. */
function looksRandom(body: string): boolean {
  if (body.length >= BODY_LONG || (body.length >= CAPITALS_FROM && /[A-Z]/.test(body))) return true
  const runs = body.split(/[-_]/)
  return runs.some(
    (run) => run.length >= RUN_LONG || (run.length >= MIXED_RUN && /\d/.test(run) && /[A-Za-z]/.test(run)),
  )
}
