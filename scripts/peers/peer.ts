/** What the re-implemented peers see of an event: the kit's wire format, already parsed. */
export interface PeerEvent {
  readonly atMs: number
  readonly keyId: string
  readonly model: string
  readonly country: string | undefined
  readonly costUsd: number
  readonly refused: boolean
}

export interface PeerAlert {
  readonly detector: string
  readonly key_id: string
  readonly at: string
  readonly severity: 'warning'
  readonly summary: string
}

/** A rule as a comparable product has it, re-implemented: fed one event after the other, it says what it would raise. */
export interface Peer {
  readonly name: string
  readonly rule: string
  add(event: PeerEvent): PeerAlert[]
}

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

export function peerAlert(detector: string, { keyId, atMs }: PeerEvent, summary: string): PeerAlert {
  return { detector, key_id: keyId, at: new Date(atMs).toISOString(), severity: 'warning', summary }
}

/** Holds a rule's alerts back for an hour after each, per key: what `realert` does in ElastAlert2. */
export class OncePerHour {
  readonly #lastMs = new Map<string, number>()

  allows({ keyId, atMs }: PeerEvent): boolean {
    if (atMs - (this.#lastMs.get(keyId) ?? -Infinity) < HOUR_MS) return false
    this.#lastMs.set(keyId, atMs)
    return true
  }
}

/** One state per key, made when it is first asked for. */
export class PerKey<State> {
  readonly #states = new Map<string, State>()
  readonly #make: (event: PeerEvent) => State

  constructor(make: (event: PeerEvent) => State) {
    this.#make = make
  }

  of(event: PeerEvent): State {
    let state = this.#states.get(event.keyId)
    if (state === undefined) {
      state = this.#make(event)
      this.#states.set(event.keyId, state)
    }
    return state
  }
}
