import { elapsed } from '../alert/message-values.ts'
import { SECOND_MS } from '../usage/duration.ts'

/** `40 s`, `12 min`, `3 h 5 min`: how long something has lasted. */
export function elapsedInWords(ms: number): string {
  return elapsed(ms) ?? `${Math.max(Math.round(ms / SECOND_MS), 0)} s`
}
