import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { postStandardWebhook, webhookSecret } from '../../outbound/standard-webhook.ts'
import { defineChannel, type Sent } from '../channel.ts'
import { sentOrThrow } from '../post-json.ts'
import { toDeliveryError } from '../to-delivery-error.ts'
import { noticeBody, webhookBody } from './webhook-body.ts'

const schema = z.strictObject({
  type: z.literal('webhook'),
  url: secretHttpUrl,
  secret: webhookSecret,
})

/** Signed JSON to any HTTP endpoint, as Standard Webhooks has it. `webhook-id` is the same on every retry. */
export const webhookChannel = defineChannel({
  type: 'webhook',
  schema,
  open: ({ url, secret }, tools) => {
    const post = async (id: string, body: string, signal: AbortSignal): Promise<Sent> => {
      const answer = await postStandardWebhook({ url, secret, id, body }, tools, signal).catch(
        (error: unknown) => {
          throw toDeliveryError('the webhook', error)
        },
      )
      return sentOrThrow('the webhook', answer, { secrets: [url, secret] })
    }
    return {
      send: (notification, signal) =>
        post(notification.id, webhookBody(notification, tools.links?.(notification)), signal),
      tell: (notice, signal) => post(notice.id, noticeBody(notice), signal),
    }
  },
})
