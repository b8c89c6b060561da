import type { Detector } from '../detect/detector.ts'
import type { DetectorName } from '../detect/finding.ts'
import { MINUTE_MS } from '../usage/duration.ts'
import type { DetectorTrouble } from './signals.ts'

/** A failure on a key that has not been judged for so long says nothing about now. */
const FORGET_MS = 15 * MINUTE_MS
/** Keys remembered per detector: one that fails on all keys must not fill the memory. */
const KEYS_MAX = 1_000

interface Failures {
  inARow: number
  lastMs: number
}

interface Health {
  lastSuccessMs: number | undefined
  /** What the last failure was. */
  error: string
  /** By key. */
  readonly failing: Map<string, Failures>
}

/** How the detectors of this process fare, per detector and key: a key on which one fails is tried again at every tick. */
export class DetectorHealth {
  readonly #health: ReadonlyMap<DetectorName, Health>
  /** The detectors, each noting how it fares; what they find and throw is the same. */
  readonly watched: readonly Detector[]

  constructor(detectors: readonly Detector[]) {
    const health = new Map<DetectorName, Health>()
    this.watched = detectors.map((detector) => {
      const own: Health = { lastSuccessMs: undefined, error: 'unknown', failing: new Map() }
      health.set(detector.name, own)
      return watching(detector, own)
    })
    this.#health = health
  }

  /** Every detector, those that are well with no failures. */
  report(nowMs: number): DetectorTrouble[] {
    return [...this.#health].map(([detector, { failing, error }]) => {
      for (const [keyId, { lastMs }] of failing) if (nowMs - lastMs > FORGET_MS) failing.delete(keyId)
      const inARow = Math.max(0, ...[...failing.values()].map((failures) => failures.inARow))
      return { detector, keys: failing.size, inARow, error }
    })
  }

  /** When each detector last judged a key without failing, by the clock of the ticks; none that never did. */
  lastSuccesses(): ReadonlyMap<DetectorName, number> {
    return new Map(
      [...this.#health].flatMap(([name, { lastSuccessMs }]) =>
        lastSuccessMs === undefined ? [] : [[name, lastSuccessMs] as const],
      ),
    )
  }
}

function watching(detector: Detector, health: Health): Detector {
  return {
    ...detector,
    detect: (detection, trace) => {
      const { keyId } = detection.usage.key
      try {
        const findings = detector.detect(detection, trace)
        health.lastSuccessMs = detection.nowMs
        // Called for every key at every tick: nothing is looked up while all is well.
        if (health.failing.size > 0) health.failing.delete(keyId)
        return findings
      } catch (error) {
        noteFailure(health, { keyId, error, nowMs: detection.nowMs })
        throw error
      }
    },
  }
}

function noteFailure(
  health: Health,
  { keyId, error, nowMs }: { readonly keyId: string; readonly error: unknown; readonly nowMs: number },
): void {
  // Only its kind: what an error says may hold the names of keys and models.
  health.error = error instanceof Error ? error.name : typeof error
  const before = health.failing.get(keyId)
  if (before === undefined && health.failing.size >= KEYS_MAX) return
  health.failing.set(keyId, { inARow: (before?.inARow ?? 0) + 1, lastMs: nowMs })
}
