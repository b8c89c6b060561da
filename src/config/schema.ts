import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { WEEKDAYS } from '../alert/maintenance.ts'
import { FALSE_ALERTS_PER_100_KEY_DAYS } from '../detect/alert-budget.ts'
import { matchesPattern } from '../alert/pattern.ts'
import { DETECTORS } from '../detect/registry.ts'
import { DETECTOR_NAMES, SEVERITIES } from '../detect/finding.ts'
import { timeZoneSetting } from '../detect/settings.ts'
import { CHANNEL_TYPES } from '../notify/registry.ts'
import { revokePolicySettings } from '../respond/policy-settings.ts'
import { REVOKER_TYPES } from '../respond/registry.ts'
import { digestSettings, heartbeatSettings, selfWatchSettings } from '../watch/settings.ts'
import { DAY_MS, durationMs, formatDuration, HOUR_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'

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

/** The name of a detector, or a pattern: one that fits none is a slip of the pen. */
const detectorPattern = z
  .string()
  .check(({ value, issues }) => {
    if (DETECTOR_NAMES.some((name) => matchesPattern(value, name))) return
    issues.push({ code: 'invalid_value', values: [...DETECTOR_NAMES], input: value })
  })
  .meta({ examples: [...DETECTOR_NAMES] })

/** What of an alert routes and maintenance windows match on. */
const alertMatch = z.strictObject({
  severity: oneOrMore(z.enum(SEVERITIES))
    .optional()
    .describe('Severities; a list matches when one of it does.'),
  detector: oneOrMore(detectorPattern).optional().describe(`Detectors. ${PATTERN_HELP}`),
  ...keyMatch,
})

const route = z.strictObject({
  match: alertMatch
    .optional()
    .describe(
      'What an alert must be for this route; everything that is named must match. Left out: every alert.',
    ),
  channels: z.array(z.string().min(1)).describe('Names from `channels`.'),
  fallback: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Channels that are told instead when one of `channels` cannot be reached.'),
  escalate: z
    .strictObject({
      after: duration('15m', { minMs: MINUTE_MS, maxMs: 7 * DAY_MS }).describe(
        'How long somebody has to acknowledge.',
      ),
      channels: z
        .array(z.string().min(1))
        .min(1)
        .describe('Channels that are told then; names from `channels`.'),
    })
    .optional()
    .describe('Who else is told when nobody has acknowledged in time.'),
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
    repeat_backoff: z
      .number()
      .min(1)
      .max(10)
      .default(2)
      .describe('Each repeat waits so many times as long as the one before; 1: always as long.'),
    repeat_max: duration('1d', { minMs: MINUTE_MS, maxMs: 30 * DAY_MS }).describe(
      'No repeat waits longer than this (or than `repeat_interval`, if that is longer).',
    ),
    resolve_after: duration('30m', { minMs: MINUTE_MS, maxMs: 7 * DAY_MS }).describe(
      'An alert is resolved when its detector has found nothing for so long.',
    ),
    clean_evaluations: z
      .int()
      .min(1)
      .max(1_000)
      .default(3)
      .describe('And when it has been looked for and not found in so many ticks in a row.'),
    close_at: z
      .number()
      .gt(0)
      .max(1)
      .default(0.8)
      .describe(
        'An open alert about a measured value is held until the key is below this share of the threshold; 1: the threshold itself.',
      ),
    silence_max: duration('30d', { minMs: MINUTE_MS, maxMs: 366 * DAY_MS }).describe(
      'How long a silence may last at most.',
    ),
    safe_for: duration('90d', { minMs: MINUTE_MS, maxMs: 3_650 * DAY_MS }).describe(
      'How long what the verdict `safe` has taught about a key lasts.',
    ),
  })
  .prefault({})
  .describe('When messages are sent.')

const clockTime = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { message: 'expected a time such as "22:00"' })
const instantText = z.iso.datetime({ offset: true, error: 'expected a time such as 2026-03-02T22:00:00Z' })

const maintenanceWindow = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_. -]{0,63}$/, {
        message:
          'a name is 1 to 64 letters, digits, spaces, "_", "-" and ".", and starts with a letter or digit',
      })
      .describe('Your name for it; alerts that it keeps quiet show it.'),
    match: alertMatch
      .optional()
      .describe(
        'What an alert must be to be kept quiet; everything that is named must match. Left out: every alert.',
      ),
    weekly: z
      .strictObject({
        days: z.array(z.enum(WEEKDAYS)).min(1).describe('The days on which it begins.'),
        from: clockTime.describe('When it begins.'),
        to: clockTime.describe('When it ends; on the next day when it is not later than `from`.'),
        timezone: timeZoneSetting.default('UTC').describe('By whose clocks.'),
      })
      .optional()
      .describe('For a window that comes every week.'),
    starts_at: instantText.optional().describe('For a window that comes once: when it begins.'),
    ends_at: instantText.optional().describe('When it ends.'),
  })
  .refine(
    ({ weekly, starts_at: starts, ends_at: ends }) =>
      (weekly === undefined) === (starts !== undefined && ends !== undefined) &&
      (starts === undefined) === (ends === undefined),
    {
      message: 'expected either weekly, or both starts_at and ends_at',
    },
  )
  .refine(
    ({ starts_at: starts, ends_at: ends }) =>
      starts === undefined || ends === undefined || Date.parse(starts) < Date.parse(ends),
    {
      path: ['ends_at'],
      message: 'expected a time later than starts_at',
    },
  )

const detectors = z
  .strictObject(
    Object.fromEntries(
      DETECTORS.map(({ name, description, settings }) => [name, settings.prefault({}).describe(description)]),
    ),
  )
  .prefault({})
  .describe('What is looked for; all detectors run unless they are switched off.')

const alertBudget = z
  .strictObject({
    false_alerts_per_100_key_days: z
      .number()
      .gt(0)
      .max(100)
      .default(FALSE_ALERTS_PER_100_KEY_DAYS)
      .describe(
        'False alerts of severity warning and up, by all detectors with severity auto together, that 100 keys may raise in a day.',
      ),
  })
  .prefault({})
  .describe('How many false alerts you put up with; thresholds follow from it and from the past of each key.')

const usdPerHour = z.number().min(0).max(1_000_000)

const severity = z
  .strictObject({
    warning_usd_per_hour: usdPerHour
      .default(20)
      .describe('What risks so much an hour is a warning at the least.'),
    critical_usd_per_hour: usdPerHour.default(50).describe('What risks so much an hour is critical.'),
    page_from_usd_per_hour: usdPerHour
      .default(1)
      .describe(
        'Two kinds of evidence that risk less an hour, at known prices, are a warning and not critical; it takes a third.',
      ),
  })
  .prefault({})
  .describe('What money at risk says about the severity of detectors whose severity is auto.')

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
    actions: z
      .array(
        z.strictObject({
          match: z
            .strictObject(keyMatch)
            .describe('The keys it is for; everything that is named must match.'),
          action: oneOfTypes(REVOKER_TYPES.map(({ schema }) => schema)).describe('As `revoke.action`.'),
        }),
      )
      .default([])
      .describe('Other actions for some keys; the first that matches is taken, and `action` when none does.'),
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
      .describe(
        'The address at which people reach keyhound; messages link to it, to acknowledge, silence or revoke. Left out: no links.',
      ),
    expire_after: duration('3d', { minMs: HOUR_MS, maxMs: 30 * DAY_MS }).describe(
      'How long such a link can be used: whoever has the message can use it.',
    ),
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
  maintenance: z
    .array(maintenanceWindow)
    .default([])
    .describe('Times in which alerts are opened as usual and nobody is told until the end.'),
  alert_budget: alertBudget,
  detectors,
  severity,
  overrides: z
    .array(override)
    .default([])
    .describe('Other detector settings for some keys; a later one wins over an earlier one.'),
  revoke,
  self_watch: selfWatchSettings,
  heartbeat: heartbeatSettings,
  digest: digestSettings,
  schedule,
  retention,
  network,
  links,
})

export type AlertsFile = z.output<typeof alertsSchema>
