import { z } from 'zod'
import { isHttpUrl, secretHttpUrl } from '../../outbound/http-url.ts'
import { secretText } from '../../secret.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { defineChannel } from '../channel.ts'
import { slackBot } from './slack-bot.ts'
import { slackWebhook } from './slack-webhook.ts'

/** Slack's limit for one webhook, and for one channel: https://api.slack.com/docs/rate-limits */
const MIN_INTERVAL_MS = SECOND_MS

const schema = z
  .strictObject({
    type: z.literal('slack'),
    url: secretHttpUrl
      .optional()
      .describe('The address of an incoming webhook: the simple way. Either this, or token and channel.'),
    token: secretText
      .refine((token) => /^xoxb-\S+$/.test(token.reveal()), {
        error: 'expected a bot token, which starts with xoxb-',
      })
      .optional()
      .describe('A bot token (scope chat:write): messages are updated in place, their history is a thread.'),
    channel: z
      .string()
      .regex(/^(?:[CGD][A-Z0-9]{6,}|#[^\s#]{1,80})$/, 'expected an id such as C0123456789, or #name')
      .optional()
      .describe('With token: where to post, C0123456789 or #name.'),
    api_url: z
      .string()
      .refine((text) => isHttpUrl(text), { error: 'expected an http:// or https:// address' })
      .default('https://slack.com/api')
      .describe('With token: the address of the Web API; another one for GovSlack.'),
  })
  .superRefine(({ url, token, channel }, context) => {
    const wrong = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message })
    if (url === undefined && token === undefined) {
      wrong('url', 'expected the url of an incoming webhook, or the token of a bot and a channel')
    }
    if (url !== undefined && token !== undefined)
      wrong('token', 'use either url or token and channel, not both')
    if (token !== undefined && channel === undefined)
      wrong('channel', 'expected where the bot posts: an id such as C0123456789, or #name')
    if (token === undefined && channel !== undefined && url !== undefined)
      wrong('channel', 'has no use with url: an incoming webhook has its own channel')
  })
  // For editors, which know the schema only as JSON Schema.
  .meta({
    anyOf: [
      { properties: { url: { description: 'An incoming webhook.' } }, required: ['url'] },
      {
        properties: { token: { description: 'A bot.' }, channel: { description: 'Where it posts.' } },
        required: ['token', 'channel'],
      },
    ],
  })

/**
 * A Slack channel, through an incoming webhook or as a bot. Slack keeps no idempotency key: a message that was posted but
 * whose answer was lost is posted again.
 */
export const slackChannel = defineChannel({
  type: 'slack',
  schema,
  open: ({ url, token, channel, api_url: apiUrl }, tools) => {
    if (token !== undefined && channel !== undefined) {
      return { minIntervalMs: MIN_INTERVAL_MS, ...slackBot({ token, channel, apiUrl }, tools) }
    }
    if (url === undefined) throw new Error('a slack channel without url and token; the schema refuses it')
    return { minIntervalMs: MIN_INTERVAL_MS, ...slackWebhook(url, tools) }
  },
})
