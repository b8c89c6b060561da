import { z } from 'zod'
import { matchesPattern } from '../alert/pattern.ts'
import { DETECTOR_NAMES, SEVERITIES, severityRank } from '../detect/finding.ts'
import type { PolicyDecision, PolicyFacts } from '../store/revocation-store.ts'

export const REVOKE_MODES = ['off', 'dry_run', 'approve', 'auto'] as const

/** The section `revoke` of the configuration without its `action`, which has a type of its own. */
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
        .meta({ description: 'Alerts of this severity or worse.' }),
      detectors: z
        .array(z.enum(DETECTOR_NAMES))
        .min(1)
        .optional()
        .meta({ description: 'Only alerts of these detectors; all when absent.' }),
    })
    .prefault({})
    .meta({ description: 'Which alerts lead to a revocation.' }),
  protect: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'Key ids that are never revoked, by nobody; * is a wildcard.' }),
  max_per_hour: z.int().min(0).max(10_000).default(5).meta({
    description: 'Revocations in an hour at most; more than that looks like an outage, not like thefts.',
  }),
})

export type RevokeSettings = z.output<typeof revokePolicySettings>

/**
 * Decides what an alert means for its key. Every decision but `none` carries its reason as one sentence. Pure; run in
 * the transaction that writes the decision.
 */
export function decide(facts: PolicyFacts, settings: RevokeSettings): PolicyDecision {
  const { alert, key } = facts
  if (settings.mode === 'off' || !concerns(facts, settings)) return { kind: 'none' }
  // One revocation is under way or done already; a second one would change nothing.
  if (facts.standing !== undefined) return { kind: 'none' }
  const cause = `${alert.severity} alert of ${alert.detector}`
  const pattern = protectedBy(key.keyId, settings)
  if (pattern !== undefined) {
    return { kind: 'refused', reason: `the key is protected by revoke.protect: "${pattern}" (${cause})` }
  }
  // A person who approves is the brake himself; what runs by itself, or shows how it would, needs one.
  if (settings.mode !== 'approve' && facts.revokedLastHour >= settings.max_per_hour) {
    return {
      kind: 'refused',
      reason: `revoke.max_per_hour: ${settings.max_per_hour} is reached, ${facts.revokedLastHour} in the last hour (${cause})`,
    }
  }
  switch (settings.mode) {
    case 'dry_run':
      return { kind: 'dry_run', reason: `${cause}; revoke.mode is dry_run, so nothing is done` }
    case 'approve':
      return { kind: 'proposed', reason: `${cause}; revoke.mode is approve, so a person decides` }
    case 'auto':
      return { kind: 'pending', reason: `${cause}; revoke.mode is auto` }
    default:
      return settings.mode satisfies never
  }
}

/** The pattern of `protect` that forbids to revoke the key; undefined when none does. */
export function protectedBy(keyId: string, { protect }: Pick<RevokeSettings, 'protect'>): string | undefined {
  return protect.find((pattern) => matchesPattern(pattern, keyId))
}

function concerns({ alert }: PolicyFacts, { when }: RevokeSettings): boolean {
  return (
    severityRank(alert.severity) >= severityRank(when.severity) &&
    (when.detectors === undefined || when.detectors.includes(alert.detector))
  )
}
