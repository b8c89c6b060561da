import type { Severity } from '../detect/finding.ts'
import type { SelfWatchSettings } from './settings.ts'
import type { Signals } from './signals.ts'

/** What is wrong with keyhound, in words for people. */
export interface Problem {
  readonly severity: Severity
  /** One line: `no usage arrives`. */
  readonly title: string
  /** What is seen, and what it means. */
  readonly text: string
  readonly facts?: readonly { readonly label: string; readonly value: string }[]
  /** What keyhound does about it, and what to do. */
  readonly advice: string
}

/**
 * What one condition says of one topic. `unclear`: between the thresholds, or unknown; an open self-alert then stays
 * open, and none is opened.
 */
export type Judgement =
  | { readonly topic: string; readonly state: 'bad'; readonly problem: Problem }
  | { readonly topic: string; readonly state: 'unclear' | 'good' }

/** A way in which keyhound can be ill. Pure. */
export interface Condition {
  /** The topic of its self-alerts, or what their topics begin with before a colon; a section of the runbook. */
  readonly name: string
  judge(signals: Signals, settings: SelfWatchSettings, nowMs: number): Judgement[]
}

/** The judgement of a measure with an opening and a closing line: what lies between them is unclear. */
export function between(
  topic: string,
  { value, opens, closes }: { readonly value: number; readonly opens: number; readonly closes: number },
  problem: () => Problem,
): Judgement {
  if (value >= opens) return { topic, state: 'bad', problem: problem() }
  return { topic, state: value > closes ? 'unclear' : 'good' }
}

export function unclear(topic: string): Judgement {
  return { topic, state: 'unclear' }
}
