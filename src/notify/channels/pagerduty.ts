import { z } from 'zod'
import { isHttpUrl } from '../../outbound/http-url.ts'
import { Secret } from '../../secret.ts'
import { MINUTE_MS } from '../../usage/duration.ts'
import { defineChannel, DeliveryError, type Sent } from '../channel.ts'
import { blameOf, postJson, sentOrThrow } from '../post-json.ts'
import { pagerDutyEvent, pagerDutyNotice, type PagerDutyEvent } from './pagerduty-event.ts'

/** "A backoff of a few minutes", says PagerDuty, where it names no time itself. */
const BUSY_PAUSE_MS = 2 * MINUTE_MS

const schema = z.strictObject({
  type: z.literal('pagerduty'),
  routing_key: z
    .string()
    .regex(/^[A-Za-z0-9]{32}$/, 'expected the 32 letters and digits of an Events API v2 integration key')
    .transform((text) => new Secret(text))
    .meta({
      description:
        'The integration key of an Events API v2 integration; write "${NAME}" to take it from the environment.',
    }),
  url: z
    .string()
    .refine((text) => isHttpUrl(text), { error: 'expected an http:// or https:// address' })
    .transform((text) => new Secret(text))
    .prefault('https://events.pagerduty.com/v2/enqueue')
    .describe('The Events API; https://events.eu.pagerduty.com/v2/enqueue in the EU service region.'),
})

/**
 * PagerDuty, through Events API v2. An incident is one PagerDuty alert: its `dedup_key` is the incident's id, so that
 * repeats and retries open nothing new, an acknowledgement acknowledges it and the end resolves it.
 */
export const pagerDutyChannel = defineChannel({
  type: 'pagerduty',
  schema,
  open: ({ routing_key: routingKey, url }, tools) => {
    const enqueue = async (event: PagerDutyEvent, signal: AbortSignal): Promise<Sent> => {
      const body = { routing_key: routingKey.reveal(), ...event }
      const answer = await postJson({ name: 'PagerDuty', url: url.reveal() }, body, { tools, signal })
      if (answer.status === 400 && /routing.?key/i.test(answer.text)) {
        throw new DeliveryError(
          'PagerDuty answered 400: the routing key is not one of an Events API v2 integration',
          { retryable: false },
        )
      }
      if (answer.status === 429 && answer.retryAfterMs === undefined) {
        throw new DeliveryError('PagerDuty answered 429: too many events', {
          retryable: true,
          retryAfterMs: BUSY_PAUSE_MS,
          blame: blameOf(answer.status),
        })
      }
      return sentOrThrow('PagerDuty', answer, { secrets: [routingKey], note: ` (${event.event_action})` })
    }
    return {
      send: (notification, signal) =>
        enqueue(pagerDutyEvent(notification, tools.links?.(notification)), signal),
      tell: (notice, signal) => enqueue(pagerDutyNotice(notice), signal),
    }
  },
})
