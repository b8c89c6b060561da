import { learnHour, type ClosedHour } from './learn-hour.ts'
import type { Profile } from './profile.ts'

/**
 * The profile after an hour that must teach nothing (the key is compromised or revoked): only what was spent and when it
 * was used is kept, which limits rest on. The hour is neither usual nor silent: it did not happen.
 */
export function passHour(profile: Profile, hour: ClosedHour, timeZone: string): Profile {
  if (hour.hourMs < profile.learnedUntilMs) return profile
  const { learnedUntilMs, ledger, use } = learnHour(profile, { ...hour, suspect: true }, timeZone)
  return { ...profile, learnedUntilMs, ledger, use }
}
