import { z } from 'zod'
import { plainText } from '../../alert/plain-text.ts'
import { describeAnswer, judgeStatus } from '../../outbound/http-answer.ts'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { OutboundError } from '../../outbound/outbound-error.ts'
import { postStandardWebhook, webhookSecret } from '../../outbound/standard-webhook.ts'
import { defineRevoker, RevokerError, type Revoker, type RevokerCall } from '../revoker.ts'

const schema = z.strictObject({
  type: z.literal('webhook'),
  url: secretHttpUrl,
  secret: webhookSecret,
})

const MAX_REASON = 500

/**
 * Asks a gateway of the operator's own to revoke or restore a key: the envelope of the outgoing webhook with type
 * `key.revoke` or `key.restore`. Any 2xx means that it was done; `webhook-id` is the same on every retry.
 */
export const webhookRevoker = defineRevoker({
  type: 'webhook',
  schema,
  open: ({ url, secret }, tools): Revoker => {
    const post = async (
      type: string,
      call: RevokerCall,
      signal: AbortSignal,
    ): Promise<{ receipt: string }> => {
      const webhook = { url, secret, id: call.requestId, body: bodyOf(type, call) }
      const answer = await postStandardWebhook(webhook, tools, signal).catch((error: unknown) => {
        throw toRevokerError(error)
      })
      const verdict = judgeStatus(answer.status)
      const told = describeAnswer(answer, [url, secret])
      if (verdict.kind === 'accepted') return { receipt: told }
      throw new RevokerError(`the gateway ${told}`, {
        retryable: verdict.retryable,
        retryAfterMs: answer.retryAfterMs,
      })
    }
    return {
      capabilities: { disable: true, restore: true },
      disable: (call, signal) => post('key.revoke', call, signal),
      restore: (call, signal) => post('key.restore', call, signal),
    }
  },
})

function bodyOf(type: string, { keyId, reason, at, alert }: RevokerCall): string {
  return JSON.stringify({
    type,
    timestamp: at.toISOString(),
    data: { alert: alert ?? null, key: { key_id: keyId }, reason: plainText(reason, MAX_REASON) },
  })
}

function toRevokerError(error: unknown): unknown {
  if (!(error instanceof OutboundError)) return error
  return new RevokerError(`the gateway was not reached: ${error.message}`, {
    retryable: error.retryable,
    cause: error,
  })
}
