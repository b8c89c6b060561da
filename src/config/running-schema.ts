import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { DAY_MS, durationMs, HOUR_MS, SECOND_MS } from '../usage/duration.ts'
import { duration } from './duration-schema.ts'

/** Only steps that divide a minute: ticks then fall on the same instants on every replica. */
const TICKS_MS = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60].map((seconds) => seconds * SECOND_MS)

export const schedule = z
  .strictObject({
    tick: durationMs
      .refine((ms) => TICKS_MS.includes(ms), {
        message: 'expected 1s to 60s, in a step that divides a minute',
      })
      .prefault('10s')
      .describe('How often the detectors run: 1s to 60s, in a step that divides a minute.'),
    shards: z
      .int()
      .min(1)
      .max(256)
      .default(4)
      .describe('Into how many jobs, that replicas share, one run is split.'),
  })
  .prefault({})
  .describe('When the detectors run.')

const KEPT = { minMs: 2 * DAY_MS, maxMs: 3_650 * DAY_MS }

export const retention = z
  .strictObject({
    events: duration('35d', KEPT).describe(
      'Raw usage events: what `backtest --events db` and the traffic in messages rest on.',
    ),
    rollups: duration('100d', KEPT).describe(
      'Sums per key, model and country: by the minute for eight days, by the hour after that.',
    ),
    rejected: duration('14d', KEPT).describe('Events that were refused, with the reason.'),
    deliveries: duration('35d', KEPT).describe('Messages that have been delivered or have failed for good.'),
  })
  .prefault({})
  .describe('How long data is kept, 2d at the least.')

export const network = z
  .strictObject({
    allow_private: z
      .array(
        z.string().refine((range) => ipaddr.isValidCIDR(range), {
          message: 'expected an address range such as 10.1.2.0/24 or fd00::/8',
        }),
      )
      .default([])
      .describe(
        'Address ranges inside your network that host names of Slack, webhooks and the revoke action may resolve to.',
      ),
  })
  .prefault({})
  .describe('Where keyhound may connect to.')

export const links = z
  .strictObject({
    base_url: z
      .url({ protocol: /^https?$/, message: 'expected a URL such as https://keyhound.example.com' })
      .optional()
      .describe(
        'The address at which people reach keyhound; messages link to it, to acknowledge, silence or revoke. Left out: no links.',
      ),
    expire_after: duration('3d', { minMs: HOUR_MS, maxMs: 30 * DAY_MS }).describe(
      'How long such a link can be used: whoever has the message can use it.',
    ),
  })
  .prefault({})
  .describe('Links in messages.')
