import { HOUR_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import { bucketStart } from '../../usage/rollup.ts'

/** What a batch tells about one key. Attributes are the newest that an event named. */
export interface KeySighting {
  readonly keyId: string
  readonly teamId: string | undefined
  readonly environment: string | undefined
  readonly firstMs: number
  readonly lastMs: number
}

/** What has to be written about keys, beside their usage. */
export interface KeyNews {
  readonly keys: readonly KeySighting[]
  /** Hours with usage that are to be learnt. */
  readonly hours: readonly { readonly hourMs: number; readonly keyId: string }[]
}

/** Of keys and of hours; what is forgotten is looked up in the database once more. */
const KEPT_MAX = 200_000

/**
 * Remembers what this process has written about keys, so that a batch writes of its keys only what is new: usually
 * nothing. It is a short cut and no truth; what another process wrote meanwhile is set right within the hour.
 */
export class KeyMemory {
  readonly #keys = new Map<string, KeySighting>()
  /** Keys by hour: a text of both for every event would cost more than all the rest. */
  readonly #hours = new Map<number, Set<string>>()
  #hoursKept = 0

  newsOf(events: Iterable<EnrichedEvent>): KeyNews {
    const sightings = new Map<string, Growing>()
    const hours = new Map<number, Set<string>>()
    for (const event of events) {
      const { keyId } = event
      const sighting = sightings.get(keyId)
      if (sighting === undefined) sightings.set(keyId, sightingOf(event))
      else grow(sighting, sightingOf(event))
      const hourMs = bucketStart(event.timestampMs, HOUR_MS)
      if (this.#hours.get(hourMs)?.has(keyId) !== true) setOf(hours, hourMs).add(keyId)
    }
    const keys = [...sightings.values()].filter((sighting) =>
      isNews(sighting, this.#keys.get(sighting.keyId)),
    )
    return {
      keys,
      hours: [...hours].flatMap(([hourMs, keyIds]) => Array.from(keyIds, (keyId) => ({ hourMs, keyId }))),
    }
  }

  /** Call it when the news have been committed, and not before. */
  remember({ keys, hours }: KeyNews): void {
    if (this.#keys.size > KEPT_MAX) this.#keys.clear()
    if (this.#hoursKept > KEPT_MAX) {
      this.#hours.clear()
      this.#hoursKept = 0
    }
    for (const key of keys) {
      const known = this.#keys.get(key.keyId)
      const both: Growing = { ...(known ?? key) }
      if (known !== undefined) grow(both, key)
      this.#keys.set(key.keyId, both)
    }
    for (const { hourMs, keyId } of hours) setOf(this.#hours, hourMs).add(keyId)
    this.#hoursKept += hours.length
  }
}

type Growing = { -readonly [Name in keyof KeySighting]: KeySighting[Name] }

function sightingOf({ keyId, teamId, environment, timestampMs }: EnrichedEvent): Growing {
  return { keyId, teamId, environment, firstMs: timestampMs, lastMs: timestampMs }
}

/** Takes another sighting of the key in; of attributes, those of the later one win where it names them. */
function grow(known: Growing, other: KeySighting): void {
  const isLater = other.lastMs >= known.lastMs
  known.teamId = isLater ? (other.teamId ?? known.teamId) : (known.teamId ?? other.teamId)
  known.environment = isLater
    ? (other.environment ?? known.environment)
    : (known.environment ?? other.environment)
  known.firstMs = Math.min(known.firstMs, other.firstMs)
  known.lastMs = Math.max(known.lastMs, other.lastMs)
}

function setOf(sets: Map<number, Set<string>>, name: number): Set<string> {
  const known = sets.get(name)
  if (known !== undefined) return known
  const created = new Set<string>()
  sets.set(name, created)
  return created
}

function isNews(sighting: KeySighting, known: KeySighting | undefined): boolean {
  if (known === undefined || sighting.firstMs < known.firstMs) return true
  const hours = bucketStart(sighting.lastMs, HOUR_MS) - bucketStart(known.lastMs, HOUR_MS)
  return hours > 0 || (hours === 0 && namesAnother(sighting, known))
}

function namesAnother(sighting: KeySighting, known: KeySighting): boolean {
  return (
    (sighting.teamId !== undefined && sighting.teamId !== known.teamId) ||
    (sighting.environment !== undefined && sighting.environment !== known.environment)
  )
}
