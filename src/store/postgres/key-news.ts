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
  readonly #hours = new Set<string>()

  newsOf(events: Iterable<EnrichedEvent>): KeyNews {
    const sightings = new Map<string, KeySighting>()
    const hours = new Map<string, KeyNews['hours'][number]>()
    for (const event of events) {
      sightings.set(event.keyId, withEvent(sightings.get(event.keyId), event))
      const hour = { hourMs: bucketStart(event.timestampMs, HOUR_MS), keyId: event.keyId }
      const identity = identityOf(hour)
      if (!this.#hours.has(identity)) hours.set(identity, hour)
    }
    const keys = [...sightings.values()].filter((sighting) =>
      isNews(sighting, this.#keys.get(sighting.keyId)),
    )
    return { keys, hours: [...hours.values()] }
  }

  /** Call it when the news have been committed, and not before. */
  remember({ keys, hours }: KeyNews): void {
    if (this.#keys.size > KEPT_MAX) this.#keys.clear()
    if (this.#hours.size > KEPT_MAX) this.#hours.clear()
    for (const key of keys) this.#keys.set(key.keyId, merged(this.#keys.get(key.keyId), key))
    for (const hour of hours) this.#hours.add(identityOf(hour))
  }
}

function identityOf({ hourMs, keyId }: KeyNews['hours'][number]): string {
  return `${hourMs} ${keyId}`
}

function withEvent(before: KeySighting | undefined, event: EnrichedEvent): KeySighting {
  const { keyId, teamId, environment, timestampMs } = event
  return merged(before, { keyId, teamId, environment, firstMs: timestampMs, lastMs: timestampMs })
}

/** Both together; of attributes, those of the later one win where it names them. */
function merged(a: KeySighting | undefined, b: KeySighting): KeySighting {
  if (a === undefined) return b
  const [older, newer] = b.lastMs >= a.lastMs ? [a, b] : [b, a]
  return {
    keyId: a.keyId,
    teamId: newer.teamId ?? older.teamId,
    environment: newer.environment ?? older.environment,
    firstMs: Math.min(a.firstMs, b.firstMs),
    lastMs: newer.lastMs,
  }
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
