import type { Alert } from '../alert/alert.ts'
import type { Detector } from '../detect/detector.ts'
import type { Finding } from '../detect/finding.ts'
import type { Site } from '../detect/prior.ts'
import type { Profile } from '../detect/profile.ts'
import { counted } from '../detect/sentence.ts'
import type { LateUsage, TickDecisions } from '../store/engine-store.ts'
import { formatDuration, HOUR_MS } from '../usage/duration.ts'
import { judgedWith, type KeyStandings } from './standing.ts'
import { emptyProfileOf, identity, judge, weighed, type JudgingEngine } from './judge.ts'

type Findings = TickDecisions['findings']

/**
 * What is found in usage that came hours late, each hour judged as of its own time, with what is known of its key now. Of
 * what was `found` already, and of the same in several hours, nothing is told twice.
 */
export function findLate(
  engine: JudgingEngine,
  late: readonly LateUsage[],
  {
    profiles,
    standings,
    sites,
    openOf,
    found,
    nowMs,
    onDetectorError,
  }: {
    readonly profiles: ReadonlyMap<string, Profile>
    readonly standings: KeyStandings
    readonly sites: readonly Site[] | undefined
    readonly openOf: ReadonlyMap<string, readonly Alert[]>
    readonly found: Findings
    readonly nowMs: number
    readonly onDetectorError: JudgingEngine['onDetectorError']
  },
): Findings {
  const judging: JudgingEngine = { ...engine, detectors: detectorsOfThePast(engine.detectors) }
  const told = new Set(found.map(({ finding }) => identity(finding)))
  const findings: Findings[number][] = []
  for (const { usage, asOfMs } of late) {
    const { keyId } = usage.key
    const profile = profiles.get(keyId) ?? emptyProfileOf(engine, usage, asOfMs)
    const judged = judgedWith(standings.get(keyId), { usage, profile, sites, nowMs: asOfMs })
    if (judged === undefined) continue
    const foundHere = judge(judging, judged, onDetectorError)
      .filter((finding) => !told.has(identity(finding)))
      .map((finding) => cameLate(finding, nowMs - asOfMs))
    for (const finding of foundHere) told.add(identity(finding))
    findings.push(...weighed(engine, { found: foundHere, judged, openOf }))
  }
  return findings
}

function detectorsOfThePast(detectors: readonly Detector[]): readonly Detector[] {
  return detectors.filter(({ judgesTheMoment }) => judgesTheMoment !== true)
}

/** Says that it is told late because it was heard of late. */
function cameLate(finding: Finding, byMs: number): Finding {
  const hours = Math.max(1, Math.round(byMs / HOUR_MS))
  return {
    ...finding,
    summary: `${finding.summary} (${counted(hours, 'hour')} ago: this usage came late)`,
    evidence: { ...finding.evidence, came_late_by: formatDuration(hours * HOUR_MS) },
  }
}
