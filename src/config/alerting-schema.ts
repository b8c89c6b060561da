import { z } from 'zod'
import { WEEKDAYS } from '../alert/maintenance.ts'
import { timeZoneSetting } from '../detect/settings.ts'
import { DAY_MS, MINUTE_MS } from '../usage/duration.ts'
import { duration } from './duration-schema.ts'
import { alertMatch } from './match-schema.ts'

/** Which alerts go to which channels. */
export const route = z.strictObject({
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

export const notify = z
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

export const maintenanceWindow = z
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
