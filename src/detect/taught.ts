import type { Evidence, Finding, JsonValue } from './finding.ts'
import type { KnownValue, Profile } from './profile.ts'

export const TAUGHT_KINDS = ['country', 'model', 'hour', 'volume'] as const
export type TaughtKind = (typeof TAUGHT_KINDS)[number]

/** What a person said is safe for a key: no news while it lasts. */
export interface Taught {
  readonly kind: TaughtKind
  /** A country, a model, an hour of the week (`Mon 03:00`), or a metric and its window (`requests 5m`). */
  readonly value: string
  /** For a volume: what was seen and is safe. */
  readonly level?: number | undefined
}

/** The same again is never exactly the same: a volume is as safe as this many times what was judged. */
const HEADROOM = 1.25

/**
 * What may be taught from a finding that a person calls safe: its countries, models, hour of the week or volumes. Empty for
 * what has no value to remember (a journey, a limit, an age): such an alert is only closed.
 */
export function teachingOf({
  detector,
  scope,
  evidence,
}: Pick<Finding, 'detector' | 'scope' | 'evidence'>): Taught[] {
  const names = (kind: 'country' | 'model'): Taught[] =>
    namesOf(evidence.observed).map((value) => ({ kind, value }))
  if (detector === 'unusual_geo') return names('country')
  if (detector === 'unfamiliar_model' || detector === 'model_probe') return names('model')
  if (detector === 'volume_spike') return scope === 'new_addresses' ? [] : volumesOf(evidence)
  const hour = detector === 'unusual_hour' ? textAt(evidence.observed, 'hour') : undefined
  return hour === undefined ? [] : [{ kind: 'hour', value: hour }]
}

/** The profile as it is to be judged: what was taught of countries and models is known. Never stored: it expires. */
export function withTaught(profile: Profile, taught: readonly Taught[]): Profile {
  const add = (known: readonly KnownValue[], kind: TaughtKind): readonly KnownValue[] => {
    const values = taught.filter((one) => one.kind === kind).map(({ value }) => value)
    if (values.length === 0) return known
    const settled = known.map((entry) => (values.includes(entry.value) ? { ...entry, settled: true } : entry))
    const missing = values.filter((value) => !known.some((entry) => entry.value === value))
    return [
      ...settled,
      ...missing.map((value) => ({
        value,
        firstSeenMs: profile.firstSeenMs,
        lastSeenMs: profile.firstSeenMs,
        requests: 0,
        settled: true,
      })),
    ]
  }
  const countries = add(profile.countries, 'country')
  const models = add(profile.models, 'model')
  return countries === profile.countries && models === profile.models
    ? profile
    : { ...profile, countries, models }
}

/** True when a finding says nothing but what a person has called safe: its hour, or volumes up to the level judged. */
export function isTaught(
  { detector, scope, evidence }: Pick<Finding, 'detector' | 'scope' | 'evidence'>,
  taught: readonly Taught[],
): boolean {
  if (taught.length === 0 || (detector !== 'unusual_hour' && detector !== 'volume_spike')) return false
  const found = teachingOf({ detector, scope, evidence })
  return found.length > 0 && found.every((one) => taught.some((known) => covers(known, one)))
}

function covers(known: Taught, found: Taught): boolean {
  if (known.kind !== found.kind || known.value !== found.value) return false
  return found.level === undefined || found.level <= (known.level ?? 0) * HEADROOM
}

/** The names of `{ RO: 12, DE: 3 }`. */
function namesOf(observed: JsonValue): string[] {
  return typeof observed === 'object' && observed !== null && !Array.isArray(observed)
    ? Object.keys(observed)
    : []
}

/** Every metric and window that fired; an alert of the size of requests has its metric alone. */
function volumesOf({ metric, observed, fired }: Evidence): Taught[] {
  const parts: readonly JsonValue[] = Array.isArray(fired) ? fired : [{ metric, observed }]
  return parts.flatMap((part): Taught[] => {
    const name = textAt(part, 'metric')
    const level = valueAt(part, 'observed')
    if (name === undefined || typeof level !== 'number') return []
    return [{ kind: 'volume', value: [name, textAt(part, 'window') ?? ''].join(' ').trim(), level }]
  })
}

function textAt(value: JsonValue | undefined, name: string): string | undefined {
  const inner = valueAt(value, name)
  return typeof inner === 'string' ? inner : undefined
}

function valueAt(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return (value as { readonly [key: string]: JsonValue })[name]
}
