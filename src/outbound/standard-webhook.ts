import { Webhook } from 'standardwebhooks'
import { z } from 'zod'
import { Secret } from '../secret.ts'
import { readAnswer, type HttpAnswer } from './http-answer.ts'

/** The specification asks for 24 to 64 random bytes; longer ones do no harm. */
const MIN_SECRET_BYTES = 24
const PREFIX = 'whsec_'

/** The secret of a Standard Webhooks endpoint: `whsec_` and base64, or any text, whose UTF-8 bytes are then the key. */
export const webhookSecret = z
  .string()
  .refine((text) => keyBytes(text).length >= MIN_SECRET_BYTES, {
    error: `expected whsec_ and base64 of at least ${MIN_SECRET_BYTES} bytes, or a text of at least ${MIN_SECRET_BYTES} bytes`,
  })
  .transform((text) => new Secret(text))
  .meta({
    description:
      'What messages are signed with: whsec_… or any text of 24 bytes or more; write "${NAME}" to take it from the environment.',
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
  const signer = new Webhook(keyBytes(secret.reveal()), { format: 'raw' })
  const response = await tools.fetch(url.reveal(), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'keyhound',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1_000)),
      'webhook-signature': signer.sign(id, sentAt, body),
    },
    body,
    signal,
  })
  return readAnswer(response, tools.nowMs())
}

/** The HMAC key; empty when what follows `whsec_` is not base64. */
function keyBytes(secret: string): Uint8Array {
  if (!secret.startsWith(PREFIX)) return Buffer.from(secret, 'utf8')
  const base64 = secret.slice(PREFIX.length)
  return /^[A-Za-z0-9+/]+={0,2}$/.test(base64) ? Buffer.from(base64, 'base64') : Buffer.alloc(0)
}
