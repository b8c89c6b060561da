import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { defineChannel, DeliveryError } from '../channel.ts'
import { messageChannel } from '../message-channel.ts'
import { postJson, sentOrThrow } from '../post-json.ts'
import { describeAnswer } from '../../outbound/http-answer.ts'
import { discordPayload } from './discord-payload.ts'
import { retryAfterInBody } from './slack-answer.ts'

const schema = z.strictObject({ type: z.literal('discord'), url: secretHttpUrl })

const NEW_WEBHOOK =
  'the webhook does not exist any more: make a new one in Discord and put it into the configuration'
const ADVICE = {
  401: NEW_WEBHOOK,
  403: 'Discord forbids it: is the webhook still allowed to post?',
  404: NEW_WEBHOOK,
}

/** A Discord channel, through a webhook. Asked to wait, Discord answers only when the message has been saved. */
export const discordChannel = defineChannel({
  type: 'discord',
  schema,
  open: ({ url }, tools) => ({
    // Discord allows five messages in two seconds for one webhook; a second each leaves room for others.
    minIntervalMs: SECOND_MS,
    ...messageChannel(tools, async (message, signal) => {
      const address = new URL(url.reveal())
      address.searchParams.set('wait', 'true')
      const answer = await postJson({ name: 'Discord', url: address.href }, discordPayload(message), {
        tools,
        signal,
      })
      // 204 is what Discord answers to those who do not wait, and tells nothing.
      if (answer.status === 200 && !/"id"\s*:\s*"\d+"/.test(answer.text)) {
        throw new DeliveryError(
          `Discord ${describeAnswer(answer, [url])} (expected the message that was saved)`,
          {
            retryable: true,
          },
        )
      }
      const retryAfterMs = answer.retryAfterMs ?? retryAfterInBody(answer.text)
      const told = answer.status === 200 ? { ...answer, text: savedMessage(answer.text) } : answer
      return sentOrThrow('Discord', { ...told, retryAfterMs }, { secrets: [url], advice: ADVICE })
    }),
  }),
})

/** Of the whole message that Discord sends back: its number. */
function savedMessage(text: string): string {
  return `message ${/"id"\s*:\s*"(\d+)"/.exec(text)?.[1] ?? ''}`
}
