import type { Judgement } from './judgement.ts'
import type { Signals } from './signals.ts'

/** What must not be wrong if a theft that happens now is to be told: the way of an event, from the queue to people. */
const VITAL = [
  'ingest_silent',
  'ingest_lagging',
  'ticks_late',
  'deliveries_late',
  'database_unreachable',
  'queue_unreachable',
]

/**
 * True when keyhound is known to do its work: the detectors have really run, and usage is taken in and messages are sent
 * as they should. What nobody knows is not alive: a dead man's switch must not be held by a guess.
 */
export function isAlive(signals: Signals, judgements: readonly Judgement[]): boolean {
  const { database, queue, usage, ticks, deliveries } = signals
  const known = usage !== undefined && deliveries !== undefined && ticks?.haveRun === true
  const reachable = database.kind === 'up' && queue.kind === 'up'
  return (
    known && reachable && !judgements.some(({ topic, state }) => state === 'bad' && VITAL.includes(topic))
  )
}
