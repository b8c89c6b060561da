import { matchesPattern } from '../alert/pattern.ts'
import { RESPONSE_ALERT, severityRank } from '../detect/finding.ts'
import type { FleetFacts, Halt, PolicyDecision, PolicyFacts } from '../store/revocation-store.ts'
import { formatDuration } from '../usage/duration.ts'
import type { RevokeSettings } from './policy-settings.ts'
import { needsNoLearning, signalOf, signalsOf, telling } from './signals.ts'

/**
 * Decides what an alert means for its key. Every decision but `none` carries its reason as one sentence. Pure; run in
 * the transaction that writes the decision.
 */
export function decide(facts: PolicyFacts, settings: RevokeSettings): PolicyDecision {
  const { alert, key } = facts
  if (settings.mode === 'off' || alert.detector === RESPONSE_ALERT || !concerns(facts, settings)) return NONE
  // One revocation is under way or done already; a second one would change nothing.
  if (facts.standing !== undefined) return NONE
  const cause = causeOf(facts)
  const pattern = protectedBy(key.keyId, settings)
  if (pattern !== undefined) {
    return { kind: 'refused', reason: `the key is protected by revoke.protect: "${pattern}" (${cause})` }
  }
  if (settings.mode === 'approve') {
    // A person who approves is the brake himself.
    return { kind: 'proposed', reason: `${cause}; revoke.mode is approve, so a person decides` }
  }
  // What runs by itself, or shows how it would, needs brakes.
  if (settings.mode === 'dry_run' && facts.wouldStand) return NONE
  const refusal = doubtOf(facts, settings) ?? haltOf(facts, settings) ?? capOf(facts, settings)
  if (refusal !== undefined) return { ...refusal, reason: `${refusal.reason} (${cause})` }
  switch (settings.mode) {
    case 'dry_run':
      return { kind: 'dry_run', reason: `${cause}; revoke.mode is dry_run, so nothing is done` }
    case 'auto':
      return { kind: 'pending', reason: `${cause}; revoke.mode is auto` }
    default:
      return settings.mode satisfies never
  }
}

const NONE: PolicyDecision = { kind: 'none' }
type Refusal = Extract<PolicyDecision, { kind: 'refused' }>

/** The pattern of `protect` that forbids to revoke the key; undefined when none does. */
export function protectedBy(keyId: string, { protect }: Pick<RevokeSettings, 'protect'>): string | undefined {
  return protect.find((pattern) => matchesPattern(pattern, keyId))
}

/** The key is bad enough, and what speaks against it is what the operator trusts to act. */
function concerns({ alert, openAlerts }: PolicyFacts, { when }: RevokeSettings): boolean {
  const isBad = (some: typeof alert): boolean => severityRank(some.severity) >= severityRank(when.severity)
  const evidence = telling(openAlerts)
  // A milder alert may be the second signal that a worse one has waited for.
  const joinsWorse = telling([alert]).length > 0 && evidence.some(isBad)
  if (!isBad(alert) && !joinsWorse) return false
  const { detectors, min_signals: minSignals } = when
  // That a key is old or silent is a remark: it acts only where the operator names it.
  if (detectors === undefined && minSignals === undefined) return signalOf(alert) !== undefined
  const isNamed = isBad(alert) && detectors?.some((name) => name === alert.detector) === true
  return isNamed || (minSignals !== undefined && signalsOf(evidence).length >= minSignals)
}

/** What is against believing the evidence: nobody knows the key well enough, or only its place speaks. */
function doubtOf(facts: PolicyFacts, settings: RevokeSettings): Refusal | undefined {
  const { firstSeenAt, learntMs, nowMs, openAlerts } = facts
  const evidence = telling(openAlerts)
  const signals = signalsOf(evidence)
  const ageMs = firstSeenAt === undefined ? undefined : nowMs - firstSeenAt.getTime()
  if (settings.min_key_age > 0 && (ageMs === undefined || ageMs < settings.min_key_age)) {
    const age =
      ageMs === undefined ? 'its age is not known' : `the key is ${formatDuration(roundedMs(ageMs))} old`
    return refused(`revoke.min_key_age: ${formatDuration(settings.min_key_age)} is not reached, ${age}`)
  }
  if (!needsNoLearning(evidence) && settings.min_history > 0 && (learntMs ?? 0) < settings.min_history) {
    const learnt = learntMs === undefined ? 'nothing is' : `${formatDuration(roundedMs(learntMs))} are`
    return refused(
      `revoke.min_history: ${formatDuration(settings.min_history)} is not reached, ${learnt} learnt`,
    )
  }
  // Private relays, mobile networks and moved address blocks look like this every day.
  if (signals.length > 0 && signals.every((signal) => signal === 'place')) {
    return refused('only the place speaks against the key, and place alone never revokes without asking')
  }
  return undefined
}

function refused(reason: string): Refusal {
  return { kind: 'refused', reason }
}

/** Whole minutes from a minute on: `23h59m` rather than every millisecond of it. */
function roundedMs(ms: number): number {
  return ms < 60_000 ? Math.floor(ms / 1_000) * 1_000 : Math.floor(ms / 60_000) * 60_000
}

/** What the policy itself cannot trust now: it halts, and says so. */
function haltOf({ fleet, nowMs }: PolicyFacts, settings: RevokeSettings): Refusal | undefined {
  const [standing] = fleet.halts
  const halt = standing ?? haltNow(fleet, settings, nowMs)
  if (halt === undefined) return undefined
  return {
    kind: 'refused',
    reason: `revocations are halted: ${halt.reason}`,
    halt: { cause: halt.cause, reason: halt.reason },
  }
}

/** Why revocations must halt now, as far as it shows in the fleet; undefined when nothing is wrong with it. Pure. */
export function haltNow(
  { newestUsageAt, firingKeys }: FleetFacts,
  { halt_when: when, when: { severity } }: Pick<RevokeSettings, 'halt_when' | 'when'>,
  nowMs: number,
): Pick<Halt, 'cause' | 'reason'> | undefined {
  const lagMs = newestUsageAt === undefined ? undefined : nowMs - newestUsageAt.getTime()
  if (lagMs !== undefined && lagMs > when.ingest_lag) {
    return {
      cause: 'ingest_lag',
      reason: `ingest lags or has stopped, the newest usage stored is ${formatDuration(roundedMs(lagMs))} old (revoke.halt_when.ingest_lag: ${formatDuration(when.ingest_lag)})`,
    }
  }
  const firing = firingKeys[severity]
  if (firing >= when.keys_firing) {
    return {
      cause: 'many_keys',
      reason: `${firing} keys fire at once, which is rather an outage or a release than so many thefts (revoke.halt_when.keys_firing: ${when.keys_firing})`,
    }
  }
  return undefined
}

/** How many may be revoked within an hour: of all, and of those in use. In a dry run its own decisions count. */
function capOf(facts: PolicyFacts, settings: RevokeSettings): Refusal | undefined {
  const { revokedLastHour, wouldRevokeLastHour, fleet } = facts
  const count = revokedLastHour + (settings.mode === 'dry_run' ? wouldRevokeLastHour : 0)
  if (count >= settings.max_per_hour) {
    return refused(`revoke.max_per_hour: ${settings.max_per_hour} is reached, ${count} in the last hour`)
  }
  const allowed = Math.max(1, Math.floor(settings.max_share * fleet.activeKeys))
  if (count >= allowed) {
    return refused(
      `revoke.max_share: ${settings.max_share} of ${fleet.activeKeys} keys in use is reached, ${count} in the last hour`,
    )
  }
  return undefined
}

function causeOf({ alert, openAlerts, strikes }: PolicyFacts): string {
  const signals = signalsOf(telling(openAlerts))
  const agreed = signals.length > 1 ? `, ${signals.length} signals agree: ${signals.join(', ')}` : ''
  const memory =
    strikes === undefined
      ? ''
      : `; strike ${strikes.count + 1}: revoked before and restored by ${strikes.lastRestoredBy} at ${strikes.lastRestoredAt.toISOString()}`
  return `${alert.severity} alert of ${alert.detector}${agreed}${memory}`
}
