import { validateDetailed } from 'node-cron'
import { z } from 'zod'
import { timeZoneSetting } from '../detect/settings.ts'
import { secretHttpUrl } from '../outbound/http-url.ts'
import { DAY_MS, durationMs, formatDuration, HOUR_MS, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'

function duration(fallback: string, { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }) {
  return durationMs
    .refine((ms) => ms >= minMs && ms <= maxMs, {
      message: `expected a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    })
    .prefault(fallback)
}

const SHORT = { minMs: 30 * SECOND_MS, maxMs: DAY_MS }

/** The section `self_watch`: when keyhound tells about itself, and where. */
export const selfWatchSettings = z
  .strictObject({
    enabled: z.boolean().default(true).describe('false: keyhound tells nobody when it is ill itself.'),
    channels: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'Names from `channels`, each of which is told. Left out or empty: the first channel that takes it, in the order of `channels`.',
      ),
    ingest_silent_after: duration('10m', { minMs: MINUTE_MS, maxMs: DAY_MS }).describe(
      'Told when no usage has happened for so long although at this time there usually is some.',
    ),
    ingest_lag: duration('5m', { minMs: MINUTE_MS, maxMs: DAY_MS }).describe(
      'Told when the newest usage that is stored is so old while more waits in the queue.',
    ),
    ticks_late_after: duration('2m', SHORT).describe(
      'Told when the detectors have not run to their end for so long.',
    ),
    deliveries_late_after: duration('5m', SHORT).describe(
      'Told when a message has been due for so long and nobody has tried to send it.',
    ),
    unreachable_after: duration('1m', SHORT).describe(
      'Told when the database or the queue has not answered for so long.',
    ),
    rejected_events: z
      .int()
      .min(1)
      .default(50)
      .describe('Told when so many events have been refused within 15 minutes.'),
    unpriced_share: z
      .number()
      .gt(0)
      .max(1)
      .default(0.2)
      .describe('Told when the cost of this share of the last hour’s successful requests is unknown.'),
    detector_failures: z
      .int()
      .min(1)
      .max(1_000)
      .default(5)
      .describe('Told when a detector has failed on one key in so many ticks in a row.'),
    geo_data_age: duration('180d', { minMs: DAY_MS, maxMs: 3_650 * DAY_MS }).describe(
      'Told when the data that says where an address is was installed or updated so long ago.',
    ),
    repeat_interval: duration('6h', { minMs: 10 * MINUTE_MS, maxMs: 30 * DAY_MS }).describe(
      'How often it is told again while it lasts; what is not urgent only every 7 days.',
    ),
  })
  .prefault({})
  .describe('What keyhound tells about itself. The runbook has a section for each.')

export type SelfWatchSettings = z.output<typeof selfWatchSettings>

/** The section `heartbeat`: a dead man's switch elsewhere raises the alarm when keyhound can raise none. */
export const heartbeatSettings = z
  .strictObject({
    url: secretHttpUrl
      .optional()
      .describe(
        'Called with GET while keyhound is well; a service there raises the alarm when the calls stop.',
      ),
    every: duration('1m', { minMs: 10 * SECOND_MS, maxMs: HOUR_MS }).describe('How often it is called.'),
  })
  .prefault({})
  .describe('A sign of life for a dead man’s switch. Left out: none.')

export type HeartbeatSettings = z.output<typeof heartbeatSettings>

/** The section `digest`: the report of the week. */
export const digestSettings = z
  .strictObject({
    schedule: z
      .string()
      .refine(isCron, {
        message: 'expected five fields of cron: minute, hour, day of month, month, day of week',
      })
      .default('0 8 * * 1')
      .describe('When it is sent, as cron has it: minute, hour, day of month, month, day of week.'),
    timezone: timeZoneSetting.default('UTC').describe('The time zone of `schedule`, such as Europe/Berlin.'),
    channels: z
      .array(z.string().min(1))
      .default([])
      .describe('Names from `channels`. Left out or empty: no digest is sent; `keyhound digest` prints it.'),
  })
  .prefault({})
  .describe(
    'What happened in the last seven days: alerts, noise, silences, channels, what a dry run would have done.',
  )

export type DigestSettings = z.output<typeof digestSettings>

/** Five fields; node-cron would also take a sixth for seconds, which nobody means here. */
function isCron(text: string): boolean {
  return text.trim().split(/\s+/).length === 5 && validateDetailed(text.trim()).valid
}
