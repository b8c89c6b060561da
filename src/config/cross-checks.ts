import { isGuessable } from '../outbound/standard-webhook.ts'
import { Secret } from '../secret.ts'
import { formatDuration, parseDuration } from '../usage/duration.ts'
import type { Path, Problem } from './problem.ts'
import { revokeErrors, revokeWarnings } from './revoke-checks.ts'
import type { AlertsFile } from './schema.ts'
import type { Substitution } from './substitute.ts'
import { didYouMean } from './suggest.ts'
import { valueAt } from './value-at.ts'
import type { YamlSource } from './yaml-source.ts'

type Report = (path: Path, message: string, at?: 'key' | 'value') => void

/**
 * What no single setting can know: names that must exist, and combinations that are impossible. Looks at what was
 * written, of which other parts may be wrong, so that all errors are told at once.
 */
export function crossErrors(
  input: unknown,
  source: YamlSource,
  { variables, unresolved }: Substitution,
): Problem[] {
  return gather(source, (report) => {
    const error: Report = (path, message) => {
      if (!unresolved.has(source.nodeAt(path))) report(path, message)
    }
    routesNameChannels(input, error, (path) => !variables.has(source.nodeAt(path)))
    revokeErrors(input, error)
    spendLimitsDiffer(input, error)
    maintenanceNamesDiffer(input, error)
  })
}

/** What is allowed but probably not meant. */
export function crossWarnings(file: AlertsFile, input: unknown, source: YamlSource): Problem[] {
  return gather(source, (warn) => {
    alertsReachSomebody(file, warn)
    criticalIsConfirmed(file, warn)
    overridesChangeSomething(input, warn)
    revokeWarnings(file, warn)
    spendLimitsCanFire(file, warn)
    networkStaysGuarded(file, warn)
    secretsAreLong(file, warn)
    rollupsOutliveEvents(file, warn)
  })
}

function gather(source: YamlSource, check: (report: Report) => void): Problem[] {
  const problems: Problem[] = []
  check((path, message, at) => problems.push(source.problem(path, message, at)))
  return problems
}

function routesNameChannels(input: unknown, error: Report, mayShow: (path: Path) => boolean): void {
  const defined = Object.keys(valueAt(input, ['channels']) ?? {})
  const named = listAt(input, ['routes']).flatMap((route, index) =>
    ROUTE_CHANNELS.flatMap((part) =>
      listAt(route, part).map((name, place) => ({ name, path: ['routes', index, ...part, place] })),
    ),
  )
  const ofKeyhound = OWN_CHANNELS.flatMap((path) =>
    listAt(input, path).map((name, place) => ({ name, path: [...path, place] })),
  )
  for (const { name, path } of [...named, ...ofKeyhound]) {
    if (typeof name !== 'string' || defined.includes(name)) continue
    const known = defined.length === 0 ? 'none is defined' : `defined: ${defined.join(', ')}`
    const close = mayShow(path) ? didYouMean(name, defined) : ''
    const written = mayShow(path)
      ? `no channel is named "${name}"`
      : 'no channel has the name that the variable gives'
    error(path, `${written}${close === '' ? ';' : close} ${known}`)
  }
}

/** Where in a route channels are named. */
const ROUTE_CHANNELS: readonly Path[] = [['channels'], ['fallback'], ['escalate', 'channels']]

/** Where channels are named for what keyhound tells about itself. */
const OWN_CHANNELS: readonly Path[] = [
  ['self_watch', 'channels'],
  ['digest', 'channels'],
]

function maintenanceNamesDiffer(input: unknown, error: Report): void {
  const names = listAt(input, ['maintenance']).map((window) => valueAt(window, ['name']))
  for (const [index, name] of names.entries()) {
    if (name !== undefined && names.indexOf(name) < index)
      error(
        ['maintenance', index, 'name'],
        'another window has this name; alerts show it, so it must tell them apart',
      )
  }
}

/** The limits of the detector itself and of every override that has its own. */
function limitPaths(input: unknown): Path[] {
  const overrides = listAt(input, ['overrides']).map((_, index) => ['overrides', index, 'detectors'])
  return [['detectors'], ...overrides].map((place) => [...place, 'spend_threshold', 'limits'])
}

function spendLimitsDiffer(input: unknown, error: Report): void {
  for (const path of limitPaths(input)) {
    const limits = listAt(input, path).map((limit) => {
      const window = valueAt(limit, ['window'])
      const span = typeof window === 'string' ? (parseDuration(window) ?? window) : ''
      const others = ['period', 'timezone', 'usd'].map((name) => String(valueAt(limit, [name])))
      return [span, ...others].join(':')
    })
    for (const [index, limit] of limits.entries()) {
      const earlier = limits.indexOf(limit)
      if (earlier < index) error([...path, index], `the same limit as limits[${earlier}]; remove one of them`)
    }
  }
}

function listAt(input: unknown, path: Path): readonly unknown[] {
  const value = valueAt(input, path)
  return Array.isArray(value) ? (value as readonly unknown[]) : []
}

function alertsReachSomebody(file: AlertsFile, warn: Report): void {
  const { channels, routes } = file
  const defined = Object.keys(channels)
  if (defined.length === 0) {
    warn(['channels'], 'no channel is defined: alerts are stored and logged, and nobody is told')
    return
  }
  if (routes === undefined) return
  for (const name of defined) {
    const isUsed = routes.some(({ channels: direct, fallback = [], escalate }) =>
      [...direct, ...fallback, ...(escalate?.channels ?? [])].includes(name),
    )
    const isOwn = [...file.self_watch.channels, ...file.digest.channels].includes(name)
    if (!isUsed && !isOwn) {
      warn(['channels', name], 'no route uses this channel', 'key')
    }
  }
  const isCatchAll = (route: (typeof routes)[number]): boolean =>
    Object.values(route.match ?? {}).every((patterns) => patterns === undefined)
  const last = routes.findIndex((route) => isCatchAll(route) && !route.continue)
  for (const [index, route] of routes.entries()) {
    if (route.channels.length === 0) warn(['routes', index, 'channels'], 'alerts of this route go to nobody')
    if (last >= 0 && index > last) {
      warn(
        ['routes', index],
        `never reached: routes[${last}] takes every alert; move it to the end, or give it continue: true`,
      )
    }
  }
  if (!routes.some(isCatchAll)) {
    warn(['routes'], 'alerts that match no route go to nobody; a last route without match would take them')
  }
}

/** A workflow of Teams takes a message and may lose it later: for critical alerts there must be another channel. */
function criticalIsConfirmed({ channels, routes }: AlertsFile, warn: Report): void {
  const isTeams = (name: string): boolean => channels[name]?.type === 'teams'
  const told = (names: readonly string[]): boolean => names.length > 0 && names.every(isTeams)
  const advice =
    'Teams takes messages without saying whether they were posted: give critical alerts another channel as well'
  if (routes === undefined) {
    if (told(Object.keys(channels))) warn(['channels'], advice)
    return
  }
  for (const [index, { match, channels: names, continue: goesOn }] of routes.entries()) {
    const isCritical = match?.severity === undefined || match.severity.includes('critical')
    if (isCritical && goesOn !== true && told(names)) warn(['routes', index, 'channels'], advice)
  }
}

function secretsAreLong({ channels, revoke }: AlertsFile, warn: Report): void {
  const entries: [Path, object][] = Object.entries(channels).map(([name, settings]) => [
    ['channels', name],
    settings,
  ])
  if (revoke.action !== undefined) entries.push([['revoke', 'action'], revoke.action])
  for (const [index, { action }] of revoke.actions.entries())
    entries.push([['revoke', 'actions', index, 'action'], action])
  for (const [path, settings] of entries) {
    const secret = 'secret' in settings ? settings.secret : undefined
    if (secret instanceof Secret && isGuessable(secret)) {
      warn(
        [...path, 'secret'],
        'has less than 24 bytes and can be guessed; make one with: openssl rand -base64 32',
      )
    }
  }
}

/** Looks at what was written: the schema fills in the defaults of what was not. */
function overridesChangeSomething(input: unknown, warn: Report): void {
  for (const [index, override] of listAt(input, ['overrides']).entries()) {
    if (Object.keys(valueAt(override, ['match']) ?? {}).length === 0) {
      warn(['overrides', index, 'match'], 'matches every key; the section detectors is the place for that')
    }
    const detectors = Object.values(valueAt(override, ['detectors']) ?? {}) as readonly object[]
    if (detectors.every((settings) => Object.keys(settings).length === 0)) {
      warn(['overrides', index, 'detectors'], 'changes nothing')
    }
  }
}

interface SpendLimit {
  readonly window?: number | undefined
  readonly period?: string | undefined
  readonly timezone: string
  readonly usd: number
}

function spendLimitsCanFire(file: AlertsFile, warn: Report): void {
  for (const path of limitPaths(file)) {
    // Checked by the schema of the detector.
    const limits = listAt(file, path) as readonly SpendLimit[]
    for (const [index, limit] of limits.entries()) {
      const longer = limits.find((other) => other.usd <= limit.usd && isWithin(limit, other))
      if (longer === undefined) continue
      const span = longer.window === undefined ? `a ${longer.period}` : formatDuration(longer.window)
      const other = `${longer.usd} USD in ${span}`
      warn([...path, index], `never the first to fire: the limit of ${other} is reached before it`)
    }
  }
}

/** True when whoever spends something in the one span has spent it in the other too: a week may lie in two months. */
function isWithin(limit: SpendLimit, other: SpendLimit): boolean {
  if (limit.window !== undefined && other.window !== undefined) return limit.window < other.window
  const isOfDay = limit.period === 'day' && other.period !== undefined && other.period !== 'day'
  return isOfDay && limit.timezone === other.timezone
}

function networkStaysGuarded({ network }: AlertsFile, warn: Report): void {
  for (const [index, range] of network.allow_private.entries()) {
    if (range.endsWith('/0'))
      warn(['network', 'allow_private', index], 'allows every address; name the ranges that are meant')
  }
}

function rollupsOutliveEvents({ retention }: AlertsFile, warn: Report): void {
  if (retention.rollups < retention.events) {
    warn(['retention', 'rollups'], 'is shorter than retention.events: the sums go before what they sum up')
  }
}
