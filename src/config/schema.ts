import { z } from 'zod'
import { CHANNEL_TYPES } from '../notify/registry.ts'
import { revokePolicySettings } from '../respond/policy-settings.ts'
import { REVOKER_TYPES } from '../respond/registry.ts'
import { digestSettings, heartbeatSettings, selfWatchSettings } from '../watch/settings.ts'
import { maintenanceWindow, notify, route } from './alerting-schema.ts'
import { alertBudget, detectors, override, severity } from './detecting-schema.ts'
import { keyMatch } from './match-schema.ts'
import { links, network, retention, schedule } from './running-schema.ts'

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
