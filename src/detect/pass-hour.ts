import { HOUR_MS } from '../usage/duration.ts'
import { sumRollups } from '../usage/key-usage.ts'
import type { ClosedHour } from './learn-hour.ts'
import { ledgerAfter } from './ledger.ts'
import type { Profile } from './profile.ts'
import { withUse } from './use-record.ts'

/**
 * The profile after an hour that must teach nothing (the key is compromised or revoked): only what was spent and when it
 * was used is kept, which limits rest on. The hour is neither usual nor silent: it did not happen.
 */
export function passHour(profile: Profile, { hourMs, rollups }: ClosedHour): Profile {
  if (hourMs < profile.learnedUntilMs) return profile
  const totals = sumRollups(rollups)
  return {
    ...profile,
    learnedUntilMs: hourMs + HOUR_MS,
    ledger: totals.requests > 0 ? ledgerAfter(profile.ledger, hourMs, totals) : profile.ledger,
    use: withUse(profile.use, hourMs, totals.requests - totals.refused),
  }
}
