import { z } from 'zod'
import { DETECTOR_NAMES, SEVERITIES } from '../detect/finding.ts'
import { formatDuration } from '../usage/duration.ts'
import { matchesPattern } from './pattern.ts'
import type { RouteMatch } from './route.ts'
import { SILENCE_FIELDS } from './silence.ts'

const TEXT_MAX = 1_000
const PATTERNS_MAX = 50

/** What a request for a silence must be, at an instant and under the longest that the configuration allows. */
export interface SilenceLimits {
  readonly nowMs: number
  readonly maxMs: number
}

/** A silence that was asked for, checked: what `SilenceStore.create` takes, without who asked. */
export interface SilenceRequest {
  readonly matchers: RouteMatch
  readonly alertId: string | undefined
  readonly startsAt: Date
  readonly endsAt: Date
  readonly createdBy: string
  readonly comment: string
}

const pattern = text(256)
const fieldPatterns = z
  .union([pattern, z.array(pattern).min(1).max(PATTERNS_MAX)])
  .transform((value) => (typeof value === 'string' ? [value] : value))
const matchersByField = z.strictObject({
  key_id: fieldPatterns.optional(),
  team_id: fieldPatterns.optional(),
  environment: fieldPatterns.optional(),
  detector: fieldPatterns.refine(matchesOneOf(DETECTOR_NAMES), 'matches no detector').optional(),
  severity: fieldPatterns.refine(matchesOneOf(SEVERITIES), 'matches no severity').optional(),
})
/** The form in which tools for Alertmanager write matchers. */
const matcherList = z
  .array(
    z.object({
      name: z.enum(SILENCE_FIELDS),
      value: pattern,
      isRegex: z.literal(false, 'regular expressions are not taken; * is a wildcard').default(false),
      isEqual: z.literal(true, 'what does not match cannot be silenced').default(true),
    }),
  )
  .max(PATTERNS_MAX)
  .transform((list, context) => {
    const byField = Map.groupBy(list, ({ name }) => name)
    const fields = [...byField].map(([name, some]) => [name, some.map(({ value }) => value)])
    const checked = matchersByField.safeParse(Object.fromEntries(fields))
    if (checked.success) return checked.data
    for (const { path, message } of checked.error.issues)
      context.addIssue({ code: 'custom', message: `${path.join('.')} ${message}` })
    return z.NEVER
  })
const instant = z.iso
  .datetime({ offset: true, abort: true, error: 'expected a time such as 2026-03-02T22:00:00Z' })
  .transform((value) => new Date(value))

/**
 * The schema of the body of `POST /silences`, for an instant: who and why are mandatory, an end too (but for the silence
 * of one alert, which ends when that is resolved), and no silence is longer than `maxMs`. At least one field must be
 * named: to silence everything, say so with `*`.
 */
export function silenceRequest({ nowMs, maxMs }: SilenceLimits): z.ZodType<SilenceRequest> {
  const now = new Date(nowMs)
  return z
    .object({
      matchers: z.union([matcherList, matchersByField]).optional(),
      alert_id: z.uuid('expected the id of an alert').nullish(),
      starts_at: instant.nullish(),
      ends_at: instant.nullish(),
      created_by: text(200),
      comment: text(TEXT_MAX),
    })
    .superRefine(({ matchers, alert_id: alertId, starts_at: starts, ends_at: ends }, context) => {
      const issue = (field: string, message: string): void => {
        context.addIssue({ code: 'custom', path: [field], message })
      }
      const startsMs = Math.max(nowMs, (starts ?? now).getTime())
      const isNamed = Object.keys(matchers ?? {}).length > 0
      if (alertId == null && !isNamed)
        issue('matchers', `name at least one of ${SILENCE_FIELDS.join(', ')}, or give an alert_id`)
      if (alertId != null && isNamed) issue('matchers', 'give either matchers or an alert_id')
      if (alertId == null && ends == null) issue('ends_at', 'must say when the silence ends')
      if (ends != null && ends.getTime() <= startsMs) issue('ends_at', 'must be later than now and starts_at')
      if (ends != null && ends.getTime() - startsMs > maxMs)
        issue('ends_at', `a silence lasts ${formatDuration(maxMs)} at most (notify.silence_max)`)
    })
    .transform((body) => {
      // A silence that began in the past begins now: it hides nothing that was told.
      const startsAt = new Date(Math.max(nowMs, (body.starts_at ?? now).getTime()))
      return {
        matchers: body.matchers ?? {},
        alertId: body.alert_id?.toLowerCase(),
        startsAt,
        endsAt: body.ends_at ?? new Date(startsAt.getTime() + maxMs),
        createdBy: body.created_by.trim(),
        comment: body.comment.trim(),
      }
    })
}

function matchesOneOf(names: readonly string[]): (patterns: readonly string[]) => boolean {
  return (patterns) => patterns.every((given) => names.some((name) => matchesPattern(given, name)))
}

/** Text that Postgres takes, and that says something. */
function text(max: number): z.ZodType<string> {
  return z
    .string()
    .max(max)
    .refine((value) => value.trim() !== '', 'must not be empty')
    .refine(
      (value) => value.isWellFormed() && !value.includes('\0'),
      'holds a NUL character or half a surrogate pair',
    )
}
