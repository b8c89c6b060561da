import { z } from 'zod'
import { describeAnswer, judgeStatus } from '../../outbound/http-answer.ts'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { postStandardWebhook, webhookSecret } from '../../outbound/standard-webhook.ts'
import { notReached } from '../call-api.ts'
import { revokeEnvelope } from '../revoke-envelope.ts'
import { defineRevoker, RevokerError, switchRevoker, type Receipt, type RevokerCall } from '../revoker.ts'

const schema = z.strictObject({
  type: z.literal('webhook'),
  url: secretHttpUrl,
  secret: webhookSecret,
})

/**
 * Asks a gateway of the operator's own to revoke or restore a key: the envelope of the outgoing webhook with type
 * `key.revoke` or `key.restore`. Any 2xx means that it was done; `webhook-id` is the same on every retry.
 */
export const webhookRevoker = defineRevoker({
  type: 'webhook',
  schema,
  open: ({ url, secret }, tools) => {
    const post = async (
      type: 'key.revoke' | 'key.restore',
      call: RevokerCall,
      signal: AbortSignal,
    ): Promise<Receipt> => {
      const webhook = { url, secret, id: call.requestId, body: JSON.stringify(revokeEnvelope(type, call)) }
      const answer = await postStandardWebhook(webhook, tools, signal).catch((error: unknown) => {
        throw notReached('the gateway', error)
      })
      const verdict = judgeStatus(answer.status)
      const told = describeAnswer(answer, [url, secret])
      if (verdict.kind === 'accepted') return { receipt: told }
      throw new RevokerError(`the gateway ${told}`, {
        retryable: verdict.retryable,
        retryAfterMs: answer.retryAfterMs,
      })
    }
    return switchRevoker(post, { off: 'key.revoke', on: 'key.restore' })
  },
})
