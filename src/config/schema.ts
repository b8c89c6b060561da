import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { DETECTORS } from '../detect/registry.ts'
import { DETECTOR_NAMES, SEVERITIES } from '../detect/finding.ts'
import { CHANNEL_TYPES } from '../notify/registry.ts'
import { revokePolicySettings } from '../respond/policy.ts'
import { REVOKER_TYPES } from '../respond/registry.ts'
import { DAY_MS, durationMs, formatDuration, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'

// Defaults of durations are prefaults: they are written as the operator would write them, and so stand in the docs.

const PATTERN_HELP = '`*` stands for any text; a list matches when one of it does.'
const pattern = z.string().min(1).max(256)

function oneOrMore<Schema extends z.ZodType>(schema: Schema) {
  return z
    .union([schema, z.array(schema).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<Schema>[])
}

function duration(fallback: string, { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }) {
  return durationMs
    .refine((ms) => ms >= minMs && ms <= maxMs, {
      message: `expected a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    })
    .prefault(fallback)
}

/** What of a key overrides and routes match on. */
const keyMatch = {
  key_id: oneOrMore(pattern).optional().describe(`API keys. ${PATTERN_HELP}`),
  team_id: oneOrMore(pattern).optional().describe(`Teams. ${PATTERN_HELP}`),
  environment: oneOrMore(pattern).optional().describe(`Environments. ${PATTERN_HELP}`),
}

function oneOfTypes(schemas: readonly z.ZodObject[]) {
  const [first, ...others] = schemas
  if (first === undefined) throw new Error('a registry is empty')
  return z.discriminatedUnion('type', [first, ...others])
}

const channels = z
  .record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, {
      message:
        'a channel name is 1 to 64 letters, digits, "_", "-" and ".", and starts with a letter or digit',
    }),
    oneOfTypes(CHANNEL_TYPES.map(({ schema }) => schema)),
  )
  .prefault({})
  .describe('Where messages go: a name of your choice, and how to reach it.')

const route = z.strictObject({
  match: z
    .strictObject({
      severity: oneOrMore(z.enum(SEVERITIES))
        .optional()
        .describe('Severities; a list matches when one of it does.'),
      detector: oneOrMore(z.enum(DETECTOR_NAMES))
        .optional()
        .describe('Detectors; a list matches when one of it does.'),
      ...keyMatch,
    })
    .optional()
    .describe(
      'What an alert must be for this route; everything that is named must match. Left out: every alert.',
    ),
  channels: z.array(z.string().min(1)).describe('Names from `channels`.'),
  continue: z.boolean().default(false).describe('true: go on to the next route after this one matched.'),
})

const GROUP_FIELDS = ['key_id', 'team_id', 'environment', 'detector'] as const
export type GroupField = (typeof GROUP_FIELDS)[number]

const notify = z
  .strictObject({
    group_by: z
      .array(z.enum(GROUP_FIELDS))
      .min(1)
      .default(['key_id'])
      .describe('Alerts that are open at the same time and equal in these share one message.'),
    group_wait: duration('5s', { minMs: 0, maxMs: 10 * MINUTE_MS }).describe(
      'How long the first message waits for others of its group.',
    ),
    repeat_interval: duration('4h', { minMs: MINUTE_MS, maxMs: 30 * DAY_MS }).describe(
      'How often an alert that is still firing is told again.',
    ),
    resolve_after: duration('30m', { minMs: MINUTE_MS, maxMs: 7 * DAY_MS }).describe(
      'An alert is resolved when its detector has found nothing for so long.',
    ),
  })
  .prefault({})
  .describe('When messages are sent.')

const detectors = z
  .strictObject(
    Object.fromEntries(
      DETECTORS.map(({ name, description, settings }) => [name, settings.prefault({}).describe(description)]),
    ),
  )
  .prefault({})
  .describe('What is looked for; all detectors run unless they are switched off.')

const override = z.strictObject({
  match: z.strictObject(keyMatch).describe('The keys it is for; everything that is named must match.'),
  detectors: z
    .strictObject(
      Object.fromEntries(
        // partial() keeps the defaults: the settings that were not written must be dropped from the output (overrides.ts).
        DETECTORS.map(({ name, description, settings }) => [
          name,
          settings.partial().optional().describe(description),
        ]),
      ),
    )
    .describe('Settings of detectors that differ for these keys; the others stay.'),
})

const revoke = revokePolicySettings
  .extend({
    action: oneOfTypes(REVOKER_TYPES.map(({ schema }) => schema))
      .optional()
      .describe('How a key is revoked; needed for the modes approve and auto.'),
  })
  .prefault({})
  .describe('What is done about a key that is abused.')

/** Only steps that divide a minute: ticks then fall on the same instants on every replica. */
const TICKS_MS = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60].map((seconds) => seconds * SECOND_MS)

const schedule = z
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

const retention = z
  .strictObject({
    events: duration('35d', KEPT).describe(
      'Raw usage events: what `backtest --events db` and the traffic in messages rest on.',
    ),
    rollups: duration('100d', KEPT).describe('Sums per minute, key, model and country.'),
    rejected: duration('14d', KEPT).describe('Events that were refused, with the reason.'),
    deliveries: duration('35d', KEPT).describe('Messages that have been delivered or have failed for good.'),
  })
  .prefault({})
  .describe('How long data is kept, 2d at the least.')

const network = z
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

const links = z
  .strictObject({
    base_url: z
      .url({ protocol: /^https?$/, message: 'expected a URL such as https://keyhound.example.com' })
      .optional()
      .describe('The address at which people reach keyhound; messages link to it. Left out: no links.'),
  })
  .prefault({})
  .describe('Links in messages.')

/** The whole file. Sections and settings are in the order in which the docs list them. */
export const alertsSchema = z.strictObject({
  version: z.literal(1).describe('Version of this format.'),
  channels,
  routes: z
    .array(route)
    .optional()
    .describe(
      'Which alerts go to which channels; the first match wins. Left out: every alert goes to every channel.',
    ),
  notify,
  detectors,
  overrides: z
    .array(override)
    .default([])
    .describe('Other detector settings for some keys; a later one wins over an earlier one.'),
  revoke,
  schedule,
  retention,
  network,
  links,
})

export type AlertsFile = z.output<typeof alertsSchema>
