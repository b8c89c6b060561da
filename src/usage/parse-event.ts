import { isIP } from 'node:net'
import { _, Ajv, type Code, type ErrorObject, type KeywordCxt, type Name } from 'ajv'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { lazy } from '../lazy.ts'
import { NANO_USD_PER_USD, type UsageEvent } from './event.ts'
import { EVENT_BYTES_MAX, usageEventSchema, type WireEvent } from './event-schema.ts'
import { looksLikeSecret } from './secret-key-id.ts'
import { looksLikeSeconds, parseTimestamp, TIMESTAMP_END_MS, TIMESTAMP_MIN_MS } from './timestamp.ts'

export type ParsedEvent =
  | { readonly ok: true; readonly event: UsageEvent }
  | { readonly ok: false; readonly error: string }

// zod describes, ajv runs: measured, a compiled schema costs a fifth of zod's time per event.
// That the schema is one is tested: to check it here would take a tenth of a second of every start.
const wireEventCheck = lazy(() =>
  withQuickLengths(new Ajv({ validateSchema: false })).compile<WireEvent>(
    z.toJSONSchema(usageEventSchema, { io: 'input', target: 'draft-7' }),
  ),
)

/** Code points are counted only where UTF-16 units do not tell: there are as many of these, and at most twice as many. */
function withQuickLengths(ajv: Ajv): Ajv {
  const quick = (keyword: string, fails: (text: Name, limit: number, codePoints: Name) => Code) => ({
    keyword,
    type: 'string' as const,
    schemaType: 'number' as const,
    code(context: KeywordCxt) {
      const codePoints = context.gen.scopeValue('func', { ref: codePointsOf })
      context.fail(fails(context.data, context.schema as number, codePoints))
    },
  })
  return ajv
    .removeKeyword('maxLength')
    .addKeyword(quick('maxLength', (text, max, of) => _`${text}.length > ${max} && ${of}(${text}) > ${max}`))
    .removeKeyword('minLength')
    .addKeyword(
      quick('minLength', (text, min, of) => _`${text}.length < ${2 * min} && ${of}(${text}) < ${min}`),
    )
}

function codePointsOf(text: string): number {
  return Array.from(text).length
}

/**
 * Reads one usage event as it came from JSON. Never throws; an error is one sentence that names the field, what it holds
 * and what is allowed, and never repeats a text that could be a secret. What is accepted can be stored: Postgres takes
 * its texts and numbers. Null, and for optional texts the empty text, count as absent. `json`, where it is at hand, is the
 * well-formed text that it was read from: most need not be looked at closer.
 */
export function parseUsageEvent(raw: unknown, json?: string): ParsedEvent {
  const isWireEvent = wireEventCheck()
  if (!isWireEvent(raw)) return refuse(schemaError(raw, isWireEvent.errors?.[0]))
  const timestampMs = typeof raw.timestamp === 'number' ? raw.timestamp : parseTimestamp(raw.timestamp)
  if (timestampMs === undefined) return refuse(fieldError('timestamp', raw.timestamp))
  if (timestampMs < TIMESTAMP_MIN_MS || timestampMs >= TIMESTAMP_END_MS)
    return refuse(rangeError(raw.timestamp))
  const ip = raw.ip ? normalAddress(raw.ip) : undefined
  if (raw.ip && ip === undefined) return refuse(fieldError('ip', raw.ip))
  if (json === undefined || !isPlain(json)) {
    const unstorable = firstUnstorable(raw)
    if (unstorable !== undefined)
      return refuse(`${unstorable}: holds a NUL character or half a surrogate pair`)
    const sizeError = tooLarge(raw)
    if (sizeError !== undefined) return refuse(sizeError)
  }
  return {
    ok: true,
    event: {
      id: raw.id,
      timestampMs,
      keyId: raw.key_id,
      model: raw.model,
      provider: raw.provider || undefined,
      ip,
      inputTokens: count(raw.input_tokens),
      outputTokens: count(raw.output_tokens),
      cachedInputTokens: count(raw.cached_input_tokens),
      costNanoUsd:
        typeof raw.cost_usd === 'number' ? Math.round(raw.cost_usd * NANO_USD_PER_USD) + 0 : undefined,
      statusCode: raw.status_code ?? 200,
      latencyMs: typeof raw.latency_ms === 'number' ? raw.latency_ms + 0 : undefined,
      teamId: raw.team_id || undefined,
      userId: raw.user_id || undefined,
      environment: raw.environment || undefined,
      metadata: raw.metadata ?? undefined,
    },
  }
}

/**
 * True for JSON of an event that is neither unstorable nor too large: NUL and half a surrogate pair have to be escaped in
 * it, and written anew no character of it takes more than six bytes (`1e20` takes as many digits).
 */
function isPlain(json: string): boolean {
  return json.length * 6 <= EVENT_BYTES_MAX && !json.includes('\\')
}

function refuse(error: string): ParsedEvent {
  return { ok: false, error }
}

/** Adding 0 turns the -0 that JSON can carry into 0. */
function count(value: number | null | undefined): number {
  return (value ?? 0) + 0
}

/**
 * The address in its one canonical spelling, IPv4 in IPv6 unwrapped; undefined when it is none, or names a zone
 * (`fe80::1%eth0`), which means something on one machine only.
 */
function normalAddress(text: string): string | undefined {
  if (isPlainIpv4(text)) return text
  const version = text.includes('%') ? 0 : isIP(text)
  if (version !== 6) return version === 4 ? text : undefined
  return ipaddr.process(text).toString()
}

/** What `isIP` says of IPv4, without its regular expression: four numbers up to 255, no leading zeros. */
function isPlainIpv4(text: string): boolean {
  if (text.length > 15) return false
  let dots = 0
  let value = -1
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 48
    if (digit === -2 && value >= 0) {
      dots += 1
      value = -1
    } else if (digit >= 0 && digit <= 9 && value !== 0) {
      value = value < 0 ? digit : value * 10 + digit
      if (value > 255) return false
    } else {
      return false
    }
  }
  return dots === 3 && value >= 0
}

const TEXT_FIELDS = ['id', 'key_id', 'model', 'provider', 'team_id', 'user_id', 'environment'] as const

/** The first field whose text Postgres would refuse. */
function firstUnstorable(event: WireEvent): string | undefined {
  for (const field of TEXT_FIELDS) {
    if (!isStorable(event[field])) return field
  }
  if (!event.metadata) return undefined
  for (const [name, value] of Object.entries(event.metadata)) {
    if (!isStorable(name) || !isStorable(value)) return 'metadata'
  }
  return undefined
}

function isStorable(text: string | null | undefined): boolean {
  return !text || (text.isWellFormed() && !text.includes('\0'))
}

/** Says so when the event is over EVENT_BYTES_MAX; the exact size is taken only of events that could be. */
function tooLarge(event: WireEvent): string | undefined {
  if (sizeBound(event, 0) <= EVENT_BYTES_MAX) return undefined
  let bytes: number
  try {
    bytes = Buffer.byteLength(JSON.stringify(event))
  } catch {
    return 'event: is nested too deep, or is not JSON'
  }
  return bytes > EVENT_BYTES_MAX ? `event: ${bytes} bytes are more than ${EVENT_BYTES_MAX}` : undefined
}

const DEPTH_MEASURED = 8

/** At least the size of the value as JSON in bytes: an escaped UTF-16 unit takes six. Cheap, because it writes nothing. */
function sizeBound(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length * 6 + 2
  if (typeof value !== 'object' || value === null) return 32
  if (depth > DEPTH_MEASURED) return Infinity
  let bound = 2
  if (Array.isArray(value)) {
    for (const item of value) bound += sizeBound(item, depth + 1) + 1
    return bound
  }
  for (const name in value) {
    bound += name.length * 6 + 4 + sizeBound((value as Record<string, unknown>)[name], depth + 1)
  }
  return bound
}

function rangeError(timestamp: string | number): string {
  if (typeof timestamp === 'number' && looksLikeSeconds(timestamp)) {
    return `timestamp: ${timestamp} looks like seconds; epoch milliseconds are expected`
  }
  return `timestamp: ${shown('timestamp', timestamp)} is not between the years 2015 and 2100`
}

/** One sentence for the first thing that the JSON schema refused. */
function schemaError(raw: unknown, error: ErrorObject | undefined): string {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    return `event: ${kindOf(raw)} is not a JSON object`
  const missing: unknown = error?.keyword === 'required' ? error.params['missingProperty'] : undefined
  const field = typeof missing === 'string' ? missing : (error?.instancePath.split('/')[1] ?? 'event')
  return fieldError(field, (raw as Record<string, unknown>)[field])
}

function fieldError(field: string, value: unknown): string {
  const allowed = allowedIn(field)
  if (value === undefined) return `${field}: is missing; it must be ${allowed.replace(' nor ', ' or ')}`
  return `${field}: ${shown(field, value)} is not ${allowed}`
}

function allowedIn(field: string): string {
  const schema = (usageEventSchema.shape as Readonly<Record<string, z.ZodType | undefined>>)[field]
  return schema?.meta()?.description ?? 'allowed'
}

/** Fields whose text may be repeated in an error: what belongs there is short and no secret. */
const QUOTED_FIELDS = new Set(['timestamp', 'ip'])
const QUOTED_MAX = 40

function shown(field: string, value: unknown): string {
  if (field === 'metadata' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const odd = Object.values(value as Record<string, unknown>).find((item) => typeof item !== 'string')
    return `an object with ${kindOf(odd)} in it`
  }
  if (typeof value !== 'string') return kindOf(value)
  const quotable = QUOTED_FIELDS.has(field) && value.length <= QUOTED_MAX && !looksLikeSecret(value)
  return quotable ? JSON.stringify(value.toWellFormed()) : kindOf(value)
}

function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (value === '') return 'an empty text'
  if (typeof value === 'string') return `a text of ${Array.from(value).length} characters`
  return 'no JSON value'
}
