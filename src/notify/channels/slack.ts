import { IncomingWebhook } from '@slack/webhook'
import { z } from 'zod'
import { messageOf } from '../../alert/message.ts'
import { describeAnswer, readAnswer, type HttpAnswer } from '../../outbound/http-answer.ts'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import type { Secret } from '../../secret.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { defineChannel, DeliveryError, type ChannelTools } from '../channel.ts'
import { toDeliveryError } from '../to-delivery-error.ts'
import { judgeSlackAnswer } from './slack-answer.ts'
import { slackBlocks, slackFallback, type SlackPayload } from './slack-payload.ts'

const schema = z.strictObject({ type: z.literal('slack'), url: secretHttpUrl })

/**
 * A Slack channel, through an incoming webhook. Slack keeps no idempotency key: a message that was posted but whose
 * answer was lost is posted again.
 */
export const slackChannel = defineChannel({
  type: 'slack',
  schema,
  open: ({ url }, tools) => ({
    // Slack's limit for one webhook: https://api.slack.com/docs/rate-limits
    minIntervalMs: SECOND_MS,
    async send(notification, signal) {
      const message = messageOf(notification, tools.links?.(notification.lead))
      let answer = await post(slackBlocks(message), { url, tools, signal })
      let verdict = judgeSlackAnswer(answer)
      let receipt = describeAnswer(answer, [url])
      if (verdict.kind === 'message_refused') {
        // Better a plain message than none: what Slack dislikes is the form, not the news.
        answer = await post(slackFallback(message), { url, tools, signal })
        verdict = judgeSlackAnswer(answer)
        receipt = `${receipt}, then to plain text ${describeAnswer(answer, [url])}`
      }
      if (verdict.kind === 'accepted') return { receipt }
      throw new DeliveryError(
        `Slack ${receipt}${verdict.advice === undefined ? '' : ` (${verdict.advice})`}`,
        {
          retryable: verdict.kind === 'refused' && verdict.retryable,
          retryAfterMs: verdict.retryAfterMs,
        },
      )
    },
  }),
})

/** Posts through Slack's own client and keeps the answer, of which the client's errors tell only a part. */
async function post(
  payload: SlackPayload,
  {
    url,
    tools,
    signal,
  }: { readonly url: Secret; readonly tools: ChannelTools; readonly signal: AbortSignal },
): Promise<HttpAnswer> {
  let answer: HttpAnswer | undefined
  let failure: unknown
  const webhook = new IncomingWebhook(url.reveal(), {
    retryConfig: { retries: 0 },
    fetch: async (address, init) => {
      try {
        const response = await tools.fetch(address, {
          method: init?.method ?? 'POST',
          headers: init?.headers ?? {},
          body: init?.body ?? null,
          signal,
        })
        answer = await readAnswer(response, tools.nowMs())
        return new Response(answer.text, { status: answer.status })
      } catch (error) {
        failure = error
        throw error
      }
    },
  })
  try {
    await webhook.send(payload)
  } catch (error) {
    // Judged by the answer below. Without one, our own error says more than the client's, which wraps it.
    if (answer === undefined) throw toDeliveryError('Slack', failure ?? error)
  }
  if (answer === undefined) throw new DeliveryError('Slack gave no answer', { retryable: true })
  return answer
}
