import type { DetectorName, Severity } from '../detect/finding.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { matchesAny, matchesKey, type KeyMatch } from './pattern.ts'

/** What a route or a mute looks at: patterns. A field that is absent matches everything; a list matches when one of it does. */
export interface RouteMatch extends KeyMatch {
  readonly severity?: readonly string[] | undefined
  readonly detector?: readonly string[] | undefined
}

export interface Route {
  readonly match?: RouteMatch | undefined
  readonly channels: readonly string[]
  /** Told when one of `channels` cannot be reached. */
  readonly fallback?: readonly string[] | undefined
  readonly escalate?: EscalationStep | undefined
  /** Go on to the next route after this one matched. */
  readonly continue?: boolean | undefined
}

/** Whom to tell when nobody has acknowledged in time. */
export interface EscalationStep {
  readonly afterMs: number
  readonly channels: readonly string[]
}

export interface Routable {
  readonly severity: Severity
  readonly detector: DetectorName
  readonly key: KeyAttributes
}

/** The routes that an alert takes, in their order: up to the first that matches without `continue`. */
export function routesFor(routes: readonly Route[], alert: Routable): Route[] {
  const taken: Route[] = []
  for (const route of routes) {
    if (!matchesAlert(route.match ?? {}, alert)) continue
    taken.push(route)
    if (route.continue !== true) break
  }
  return taken
}

/** The names of the channels that an alert goes to, in the order of the routes, each once. */
export function channelsFor(routes: readonly Route[], alert: Routable): string[] {
  return [...new Set(routesFor(routes, alert).flatMap(({ channels }) => channels))]
}

/** The names of the channels to tell instead when one that an alert goes to cannot be reached, each once. */
export function fallbacksFor(routes: readonly Route[], alert: Routable): string[] {
  return [...new Set(routesFor(routes, alert).flatMap(({ fallback = [] }) => fallback))]
}

/** True when every field that is named has a pattern that the alert matches. */
export function matchesAlert(match: RouteMatch, { severity, detector, key }: Routable): boolean {
  return (
    matchesAny(match.severity, severity) && matchesAny(match.detector, detector) && matchesKey(match, key)
  )
}
