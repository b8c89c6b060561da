import { z } from 'zod'
import { matchesPattern } from '../alert/pattern.ts'
import { DETECTOR_NAMES, SEVERITIES } from '../detect/finding.ts'

const PATTERN_HELP = '`*` stands for any text; a list matches when one of it does.'
const pattern = z.string().min(1).max(256)

function oneOrMore<Schema extends z.ZodType>(schema: Schema) {
  return z
    .union([schema, z.array(schema).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<Schema>[])
}

/** What of a key overrides and routes match on. */
export const keyMatch = {
  key_id: oneOrMore(pattern).optional().describe(`API keys. ${PATTERN_HELP}`),
  team_id: oneOrMore(pattern).optional().describe(`Teams. ${PATTERN_HELP}`),
  environment: oneOrMore(pattern).optional().describe(`Environments. ${PATTERN_HELP}`),
}

/** The name of a detector, or a pattern: one that fits none is a slip of the pen. */
const detectorPattern = z
  .string()
  .check(({ value, issues }) => {
    if (DETECTOR_NAMES.some((name) => matchesPattern(value, name))) return
    issues.push({ code: 'invalid_value', values: [...DETECTOR_NAMES], input: value })
  })
  .meta({ examples: [...DETECTOR_NAMES] })

/** What of an alert routes and maintenance windows match on. */
export const alertMatch = z.strictObject({
  severity: oneOrMore(z.enum(SEVERITIES))
    .optional()
    .describe('Severities; a list matches when one of it does.'),
  detector: oneOrMore(detectorPattern).optional().describe(`Detectors. ${PATTERN_HELP}`),
  ...keyMatch,
})
