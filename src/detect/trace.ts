import type { JsonValue } from './finding.ts'

/**
 * One comparison on the way to a judgement. A detector fires when all checks of a subject hold; the first that does not
 * is why it was quiet.
 */
export interface Check {
  /**
   * learning: the key is not known well enough. applies: the detector has nothing to judge. floor: too little of it to
   * matter. unusual: it is not far enough from what is usual, or from what is allowed.
   */
  readonly kind: 'learning' | 'applies' | 'floor' | 'unusual'
  /** What was compared, in words: `successful requests in 5 minutes`. Text that an attacker chose may be in it. */
  readonly what: string
  readonly holds: boolean
  readonly observed: JsonValue
  /** What would have to be observed for the detector to fire, in words: `at least 20`. */
  readonly needed: string
  /** The setting behind `needed`, as it is written in the configuration; undefined for a constant of the code. */
  readonly setting?: string
}

/**
 * Notes of the checks of one judgement. Detectors compare through `check`, so that what is explained is what was decided;
 * nobody listens during a tick, and then no text is made.
 */
export class Trace {
  readonly checks: Check[] = []
}

/** Notes a check if anybody listens, and returns whether it holds. */
export function check(
  trace: Trace | undefined,
  holds: boolean,
  describe: () => Omit<Check, 'holds'>,
): boolean {
  trace?.checks.push({ holds, ...describe() })
  return holds
}
