import type { SelfAlert } from '../../src/store/self-alert-store.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import type { Judgement, Problem } from '../../src/watch/judgement.ts'
import { selfWatchSettings, type SelfWatchSettings } from '../../src/watch/settings.ts'
import type { Signals } from '../../src/watch/signals.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'

/** The defaults of the product. */
export const DEFAULTS: SelfWatchSettings = selfWatchSettings.parse({})

/** A keyhound in the best of health at SOME_TIME_MS; name only what the test is about. */
export function signals(given: Partial<Signals> = {}): Signals {
  return {
    database: { kind: 'up' },
    queue: { kind: 'up' },
    usage: { newestMs: SOME_TIME_MS, expected: undefined },
    jobs: { waiting: 0, failed: 0 },
    ticks: { oldestSuccessMs: SOME_TIME_MS - 5_000, haveRun: true, tickMs: 10_000 },
    deliveries: { overdue: 0, oldestDueMs: undefined },
    rejected: { count: 0, commonest: undefined },
    pricing: { requests: 1_000, unpriced: 0, models: [] },
    revocations: { failedKeys: 0, halts: [] },
    detectors: [{ detector: 'volume_spike', keys: 0, inARow: 0, error: 'unknown' }],
    geo: { dataMs: SOME_TIME_MS - 30 * 24 * 60 * MINUTE_MS },
    heartbeat: { failures: 0, error: '' },
    ...given,
  }
}

/** A keyhound of which nobody knows anything but that its servers answer. */
export const NOTHING_KNOWN: Signals = { database: { kind: 'up' }, queue: { kind: 'up' } }

export function problem(given: Partial<Problem> = {}): Problem {
  return {
    severity: 'critical',
    title: 'the detectors have not run for 3 min',
    text: 'Usage is stored, but nobody looks at it.',
    advice: 'Is a replica with the role detect running?',
    ...given,
  }
}

export function bad(topic: string, given: Partial<Problem> = {}): Judgement {
  return { topic, state: 'bad', problem: problem(given) }
}

/** A self-alert that was opened `minutesAgo` before SOME_TIME_MS and found bad until `quietMs` before it. */
export function selfAlert(topic: string, { minutesAgo = 10, quietMs = 0 } = {}): SelfAlert {
  const openedAt = new Date(SOME_TIME_MS - minutesAgo * MINUTE_MS)
  return {
    topic,
    severity: 'critical',
    title: 'the detectors have not run for 3 min',
    openedAt,
    lastBadAt: new Date(SOME_TIME_MS - quietMs),
    toldAt: openedAt,
  }
}
