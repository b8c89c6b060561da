import { z } from 'zod'
import { describeAnswer, judgeStatus } from '../../outbound/http-answer.ts'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { postStandardWebhook, webhookSecret } from '../../outbound/standard-webhook.ts'
import { defineChannel, DeliveryError } from '../channel.ts'
import { toDeliveryError } from '../to-delivery-error.ts'
import { webhookBody } from './webhook-body.ts'

const schema = z.strictObject({
  type: z.literal('webhook'),
  url: secretHttpUrl,
  secret: webhookSecret,
})

/** Signed JSON to any HTTP endpoint, as Standard Webhooks has it. `webhook-id` is the same on every retry. */
export const webhookChannel = defineChannel({
  type: 'webhook',
  schema,
  open: ({ url, secret }, tools) => ({
    async send(notification, signal) {
      const body = webhookBody(notification, tools.links?.(notification.lead))
      const answer = await postStandardWebhook(
        { url, secret, id: notification.id, body },
        tools,
        signal,
      ).catch((error: unknown) => {
        throw toDeliveryError('the webhook', error)
      })
      const verdict = judgeStatus(answer.status)
      const told = describeAnswer(answer, [url, secret])
      if (verdict.kind === 'accepted') return { receipt: told }
      throw new DeliveryError(`the webhook ${told}`, {
        retryable: verdict.retryable,
        retryAfterMs: answer.retryAfterMs,
      })
    },
  }),
})
