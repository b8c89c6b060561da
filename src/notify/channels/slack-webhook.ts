import type { Message } from '../../alert/message.ts'
import { describeAnswer, readAnswer, type HttpAnswer } from '../../outbound/http-answer.ts'
import type { Secret } from '../../secret.ts'
import { DeliveryError, type Channel, type ChannelTools, type Sent } from '../channel.ts'
import { messageChannel } from '../message-channel.ts'
import { toDeliveryError } from '../to-delivery-error.ts'
import { judgeSlackAnswer } from './slack-answer.ts'
import { slackBlocks, slackFallback, type SlackPayload } from './slack-payload.ts'

/** Posts through an incoming webhook. Such messages can neither be changed nor answered in a thread. */
export function slackWebhook(
  url: Secret,
  tools: ChannelTools,
): ReturnType<typeof messageChannel> & Required<Pick<Channel, 'load'>> {
  return {
    ...messageChannel(tools, (message, signal) => postMessage(message, { url, tools, signal })),
    load: async () => {
      await client()
    },
  }
}

/** Slack's own client, loaded by those who use it. */
function client() {
  return import('@slack/webhook')
}

interface Posting {
  readonly url: Secret
  readonly tools: ChannelTools
  readonly signal: AbortSignal
}

async function postMessage(message: Message, posting: Posting): Promise<Sent> {
  const secrets = [posting.url]
  let answer = await post(slackBlocks(message), posting)
  let verdict = judgeSlackAnswer(answer)
  let receipt = describeAnswer(answer, secrets)
  if (verdict.kind === 'message_refused') {
    // Better a plain message than none: what Slack dislikes is the form, not the news.
    answer = await post(slackFallback(message), posting)
    verdict = judgeSlackAnswer(answer)
    receipt = `${receipt}, then to plain text ${describeAnswer(answer, secrets)}`
  }
  if (verdict.kind === 'accepted') return { receipt }
  throw new DeliveryError(`Slack ${receipt}${verdict.advice === undefined ? '' : ` (${verdict.advice})`}`, {
    retryable: verdict.kind === 'refused' && verdict.retryable,
    retryAfterMs: verdict.retryAfterMs,
    blame: verdict.kind === 'message_refused' ? 'message' : 'channel',
  })
}

/** Posts through Slack's own client and keeps the answer, of which the client's errors tell only a part. */
async function post(payload: SlackPayload, { url, tools, signal }: Posting): Promise<HttpAnswer> {
  let answer: HttpAnswer | undefined
  let failure: unknown
  const { IncomingWebhook } = await client()
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
