import type { DetectorName, Severity } from '../detect/finding.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { matchesPattern } from './pattern.ts'

/** What a route looks at. A field that is absent matches everything; a list matches when one of it does. */
export interface RouteMatch {
  readonly severity?: readonly Severity[] | undefined
  readonly detector?: readonly DetectorName[] | undefined
  /** Patterns with `*` as a wildcard, also for the next two. */
  readonly key_id?: readonly string[] | undefined
  readonly team_id?: readonly string[] | undefined
  readonly environment?: readonly string[] | undefined
}

export interface Route {
  readonly match?: RouteMatch | undefined
  readonly channels: readonly string[]
  /** Go on to the next route after this one matched. */
  readonly continue?: boolean | undefined
}

export interface Routable {
  readonly severity: Severity
  readonly detector: DetectorName
  readonly key: KeyAttributes
}

/** The names of the channels that an alert goes to, in the order of the routes, each once. First match wins. */
export function channelsFor(routes: readonly Route[], alert: Routable): string[] {
  const channels = new Set<string>()
  for (const route of routes) {
    if (!matches(route.match ?? {}, alert)) continue
    for (const channel of route.channels) channels.add(channel)
    if (route.continue !== true) break
  }
  return [...channels]
}

function matches(match: RouteMatch, { severity, detector, key }: Routable): boolean {
  return (
    (match.severity === undefined || match.severity.includes(severity)) &&
    (match.detector === undefined || match.detector.includes(detector)) &&
    matchesAny(match.key_id, key.keyId) &&
    matchesAny(match.team_id, key.teamId) &&
    matchesAny(match.environment, key.environment)
  )
}

function matchesAny(patterns: readonly string[] | undefined, value: string | undefined): boolean {
  if (patterns === undefined) return true
  return value !== undefined && patterns.some((pattern) => matchesPattern(pattern, value))
}
