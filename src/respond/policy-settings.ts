import { z } from 'zod'
import { DETECTOR_NAMES, SEVERITIES } from '../detect/finding.ts'
import { DAY_MS, durationMs, formatDuration, MINUTE_MS, SECOND_MS } from '../usage/duration.ts'

export const REVOKE_MODES = ['off', 'dry_run', 'approve', 'auto'] as const

const YEAR_MS = 365 * DAY_MS

function durationBetween(minMs: number, maxMs: number) {
  return durationMs.refine((ms) => ms >= minMs && ms <= maxMs, {
    message: `expected a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
  })
}

/** The section `revoke` of the configuration without its actions, which have types of their own. */
export const revokePolicySettings = z.strictObject({
  mode: z.enum(REVOKE_MODES).default('dry_run').meta({
    description:
      'off: never. dry_run: only say what would be done. approve: ask a person. auto: revoke without asking.',
  }),
  when: z
    .strictObject({
      severity: z
        .enum(SEVERITIES)
        .default('critical')
        .meta({ description: 'Keys with an alert of this severity or worse.' }),
      detectors: z
        .array(z.enum(DETECTOR_NAMES))
        .min(1)
        .optional()
        .meta({ description: 'Only alerts of these detectors; all when absent.' }),
      min_signals: z.int().min(1).max(8).optional().meta({
        description:
          'Only keys on which so many independent kinds of evidence agree (volume, place, model, address, ...). Next to detectors: one of the two is enough.',
      }),
    })
    .prefault({})
    .meta({ description: 'Which alerts lead to a revocation.' }),
  min_key_age: durationBetween(0, YEAR_MS)
    .prefault('1d')
    .describe('Younger keys are not revoked without asking: nobody knows yet what is usual for them.'),
  min_history: durationBetween(0, YEAR_MS)
    .prefault('3d')
    .describe(
      'What detectors find that learn habits revokes without asking only when habits were learnt for so long.',
    ),
  protect: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'Key ids that are never revoked, by nobody; * is a wildcard.' }),
  max_per_hour: z.int().min(0).max(10_000).default(5).meta({
    description: 'Revocations in an hour at most; more than that looks like an outage, not like thefts.',
  }),
  max_share: z.number().gt(0).max(1).default(0.05).meta({
    description:
      'Share of the keys in use in the last day that may be revoked in an hour at most; one key always may.',
  }),
  halt_when: z
    .strictObject({
      ingest_lag: durationBetween(MINUTE_MS, DAY_MS)
        .prefault('5m')
        .describe('No usage of any key newer than this is stored: what is seen is not what happens.'),
      keys_firing: z.int().min(2).max(100_000).default(10).meta({
        description: 'So many keys have an alert of when.severity from the last 10 minutes.',
      }),
    })
    .prefault({})
    .meta({
      description: 'When nothing is revoked without asking, because it is an outage or a release.',
    }),
  grace: durationBetween(10 * SECOND_MS, DAY_MS)
    .prefault('2m')
    .describe(
      'How long a key may go on working after the other side said that it was revoked: caches, requests under way.',
    ),
  confirm_after: durationBetween(MINUTE_MS, DAY_MS)
    .prefault('10m')
    .describe('After so long a silence, or refusals, past grace a revocation is confirmed.'),
  restore_after: durationBetween(MINUTE_MS, YEAR_MS)
    .optional()
    .describe(
      'What the policy revoked is restored by itself after this time, once a key: one that is abused again stays revoked. Left out: never.',
    ),
})

export type RevokeSettings = z.output<typeof revokePolicySettings>
