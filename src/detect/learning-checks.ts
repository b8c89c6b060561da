import { formatDuration } from '../usage/duration.ts'
import type { DetectorSettings } from './detector.ts'
import type { DetectorName } from './finding.ts'
import { historyOf, type Profile } from './profile.ts'
import { grouped } from './sentence.ts'
import type { Check } from './trace.ts'

/** How much is missing of the learning period, for a detector that has one. The same comparisons as isLearning. */
export function learningChecks(
  name: DetectorName,
  { profile, nowMs }: { readonly profile: Profile; readonly nowMs: number },
  settings: DetectorSettings,
): Check[] {
  const checks: Check[] = []
  if ('min_history' in settings && typeof settings.min_history === 'number') {
    const needed = settings.min_history
    checks.push({
      kind: 'learning',
      what: 'days the key has been known',
      holds: nowMs - profile.firstSeenMs >= needed,
      observed: historyOf(profile, nowMs).days,
      needed: `at least ${formatDuration(needed)}`,
      setting: `detectors.${name}.min_history: ${formatDuration(needed)}`,
    })
  }
  if ('min_events' in settings && typeof settings.min_events === 'number') {
    checks.push({
      kind: 'learning',
      what: 'requests learnt',
      holds: profile.events >= settings.min_events,
      observed: profile.events,
      needed: `at least ${grouped(settings.min_events)}`,
      setting: `detectors.${name}.min_events: ${settings.min_events}`,
    })
  }
  return checks
}
