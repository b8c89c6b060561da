import { Webhook } from 'standardwebhooks'
import { z } from 'zod'
import { Secret } from '../secret.ts'
import { readAnswer, type HttpAnswer } from './http-answer.ts'

/** The specification asks for 24 to 64 random bytes; longer ones do no harm. */
const MIN_SECRET_BYTES = 24
const PREFIX = 'whsec_'
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** The secret of a Standard Webhooks endpoint: `whsec_` and base64, or any text; see `signingKeys`. */
export const webhookSecret = z
  .string()
  .refine((text) => signingKeys(text).every((key) => key.length > 0), {
    error: 'expected whsec_ and base64, or a text',
  })
  .transform((text) => new Secret(text))
  .meta({
    description:
      'What messages are signed with: whsec_… or any text, of 24 random bytes or more; write "${NAME}" to take it from the environment.',
  })

export interface StandardWebhook {
  readonly url: Secret
  readonly secret: Secret
  /** The idempotency key: the same on every retry. */
  readonly id: string
  /** JSON, exactly as it is signed and sent. */
  readonly body: string
}

/**
 * Posts one message as Standard Webhooks has it: https://github.com/standard-webhooks/standard-webhooks. Resolves with
 * the answer, whatever its status; rejects with what `fetch` throws.
 */
export async function postStandardWebhook(
  { url, secret, id, body }: StandardWebhook,
  tools: { readonly fetch: typeof fetch; readonly nowMs: () => number },
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const sentAt = new Date(tools.nowMs())
  const signatures = signingKeys(secret.reveal()).map((key) =>
    new Webhook(key, { format: 'raw' }).sign(id, sentAt, body),
  )
  const response = await tools.fetch(url.reveal(), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'keyhound',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1_000)),
      'webhook-signature': signatures.join(' '),
    },
    body,
    signal,
  })
  return readAnswer(response, tools.nowMs())
}

/** True when the secret has fewer bytes than the specification asks for. */
export function isGuessable(secret: Secret): boolean {
  return signingKeys(secret.reveal()).every((key) => key.length < MIN_SECRET_BYTES)
}

/**
 * The HMAC keys of a secret; empty ones when it is none. A secret without the prefix is read in two ways by receivers:
 * libraries of the specification take base64 for granted, self-written ones take the text as it is. So a text that is
 * base64 has two keys, and a message two signatures, of which one must match: the header is a list.
 */
function signingKeys(secret: string): Uint8Array[] {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret
  const decoded = BASE64.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  if (secret.startsWith(PREFIX)) return [decoded]
  const raw = Buffer.from(secret, 'utf8')
  return decoded.length === 0 || text.length % 4 !== 0 ? [raw] : [raw, decoded]
}
