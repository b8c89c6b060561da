import { z } from 'zod'
import { durationMs } from '../usage/duration.ts'
import { SEVERITIES, type Severity } from './finding.ts'

/** The settings that every detector has, with the severity that its findings get unless the operator says otherwise. */
export function commonSettings(severity: Severity) {
  return {
    enabled: z.boolean().default(true).describe('false switches this detector off.'),
    severity: z.enum(SEVERITIES).default(severity).describe('Severity of its alerts.'),
  }
}

/** The same for a detector that grades its findings: by how strong they are, and by what else is found (corroborate.ts). */
export function gradedSettings() {
  return {
    enabled: z.boolean().default(true).describe('false switches this detector off.'),
    severity: z
      .enum(['auto', ...SEVERITIES])
      .default('auto')
      .describe(
        'Severity of its alerts. auto: info for what is only new or odd, warning for what adds to the usual use or is far ' +
          'outside it, critical when another kind of evidence agrees within the hour. Any other: always that.',
      ),
  }
}

/** Left out, a detector takes its part of the fleet's budget (alert-budget.ts); it means nothing without `severity: auto`. */
const budgetSetting = {
  false_alerts_per_100_key_days: z
    .number()
    .gt(0)
    .max(100)
    .optional()
    .describe(
      'False alerts of severity warning and up that this detector may raise, with severity auto. Left out: its part of `alert_budget`.',
    ),
}

/** The same for a detector whose warnings have a part of the alert budget. */
export function budgetedSettings() {
  return { ...gradedSettings(), ...budgetSetting }
}

/** The severity of a finding: as the operator fixed it, else as graded. */
export function severityOf(settings: { readonly severity: Severity | 'auto' }, graded: Severity): Severity {
  return settings.severity === 'auto' ? graded : settings.severity
}

/** The learning period: nothing is raised before the key has been known for so long, and has made so many requests. */
export function learningSettings({ history, events }: { readonly history: string; readonly events: number }) {
  return {
    min_history: durationMs
      .prefault(history)
      .describe('How long a key must have been known before this detector judges it.'),
    min_events: z
      .number()
      .int()
      .min(0)
      .default(events)
      .describe('How many requests of a key must have been learnt before this detector judges it.'),
  }
}

/** An IANA time zone that this machine knows. */
export const timeZoneSetting = z
  .string()
  .refine(isTimeZone, { message: 'expected an IANA time zone such as UTC or Europe/Berlin' })

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
