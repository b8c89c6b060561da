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
