import { z } from 'zod'
import { FALSE_ALERTS_PER_100_KEY_DAYS } from '../detect/alert-budget.ts'
import { DETECTORS } from '../detect/registry.ts'
import { keyMatch } from './match-schema.ts'

export const detectors = z
  .strictObject(
    Object.fromEntries(
      DETECTORS.map(({ name, description, settings }) => [name, settings.prefault({}).describe(description)]),
    ),
  )
  .prefault({})
  .describe('What is looked for; all detectors run unless they are switched off.')

export const alertBudget = z
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

export const severity = z
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

export const override = z.strictObject({
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
