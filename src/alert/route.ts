import type { DetectorName, Severity } from '../detect/finding.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { matchesKey, type KeyMatch } from './pattern.ts'

/** What a route looks at. A field that is absent matches everything; a list matches when one of it does. */
export interface RouteMatch extends KeyMatch {
  readonly severity?: readonly Severity[] | undefined
  readonly detector?: readonly DetectorName[] | undefined
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
    matchesKey(match, key)
  )
}
