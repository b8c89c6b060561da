import { z } from 'zod'
import { secretHttpUrl } from '../../outbound/http-url.ts'
import { SECOND_MS } from '../../usage/duration.ts'
import { defineChannel } from '../channel.ts'
import { messageChannel } from '../message-channel.ts'
import { postJson, sentOrThrow } from '../post-json.ts'
import { teamsPayload } from './teams-payload.ts'

const schema = z.strictObject({ type: z.literal('teams'), url: secretHttpUrl })

const NEW_WORKFLOW =
  'the workflow does not exist any more, is switched off, or its address has changed: copy its address anew'
const ADVICE = { 401: NEW_WORKFLOW, 403: NEW_WORKFLOW, 404: NEW_WORKFLOW, 410: NEW_WORKFLOW }

/**
 * A Microsoft Teams channel, through a workflow ("When a Teams webhook request is received"). The workflow takes the
 * message and posts it later, or fails later: what is delivered is accepted, never confirmed.
 */
export const teamsChannel = defineChannel({
  type: 'teams',
  schema,
  open: ({ url }, tools) => ({
    // More than four requests a second are throttled.
    minIntervalMs: SECOND_MS,
    ...messageChannel(tools, async (message, signal) => {
      const answer = await postJson({ name: 'Teams', url: url.reveal() }, teamsPayload(message), {
        tools,
        signal,
      })
      return sentOrThrow('Teams', answer, {
        secrets: [url],
        advice: ADVICE,
        note: ' (accepted, unconfirmed)',
      })
    }),
  }),
})
