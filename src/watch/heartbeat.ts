import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { judgeStatus } from '../outbound/http-answer.ts'
import { OutboundError } from '../outbound/outbound-error.ts'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import { SECOND_MS } from '../usage/duration.ts'
import type { HeartbeatSettings } from './settings.ts'
import type { Signals } from './signals.ts'

/** How often it is looked whether a call is due. */
const LOOK_MS = SECOND_MS
const CALL_TIMEOUT_MS = 10 * SECOND_MS

export interface HeartbeatParts extends LoopStart {
  readonly settings: () => HeartbeatSettings
  /** True while keyhound is known to do its work. */
  readonly isAlive: () => boolean
  /** Takes the turn of an instant for all replicas; false when another has it. Rejects when the database is away. */
  readonly takeTurn: (turnMs: number) => Promise<boolean>
  readonly fetch: () => typeof fetch
  readonly clock: Clock
  readonly log: Logger
}

export interface Heartbeat extends PollLoop {
  /** How the last calls of this process went; undefined before the first, and without a URL. */
  signal(): Signals['heartbeat']
}

/**
 * Calls `heartbeat.url` every `heartbeat.every` while keyhound is alive, one replica for all. A call that fails is made
 * again at the next turn and holds nothing up; when keyhound is not alive nobody is called, and that is the message.
 */
export function startHeartbeat(parts: HeartbeatParts): Heartbeat {
  const { clock, log } = parts
  let lastTurnMs: number | undefined
  let signal: Signals['heartbeat']

  const turn = async (stopping: AbortSignal): Promise<number> => {
    const { url, every } = parts.settings()
    if (url === undefined) {
      signal = undefined
      return LOOK_MS
    }
    const turnMs = Math.floor(clock.nowMs() / every) * every
    if (turnMs === lastTurnMs || !parts.isAlive()) return LOOK_MS
    // The turn is a write: a database that only reads is no sign of life.
    const isMine = await parts.takeTurn(turnMs)
    lastTurnMs = turnMs
    if (!isMine) return LOOK_MS
    const error = await call(parts.fetch(), url.reveal(), stopping)
    if (stopping.aborted) return LOOK_MS
    signal =
      error === undefined ? { failures: 0, error: '' } : { failures: (signal?.failures ?? 0) + 1, error }
    if (error !== undefined) log.warn({ error, failures: signal.failures }, 'the heartbeat could not be sent')
    return LOOK_MS
  }
  const loop = startPolling({
    begins: parts.begins,
    turn,
    onError: (error) => log.debug({ err: error }, 'no turn of the heartbeat could be taken'),
  })
  return { ...loop, signal: () => signal }
}

/** What went wrong, without the address, which holds a token; undefined when the other side took it. */
async function call(fetch: HeartbeatFetch, url: string, stopping: AbortSignal): Promise<string | undefined> {
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(CALL_TIMEOUT_MS), stopping])
    const response = await fetch(url, { method: 'GET', headers: { 'user-agent': 'keyhound' }, signal })
    return judgeStatus(response.status).kind === 'accepted' ? undefined : `answered ${response.status}`
  } catch (error) {
    return error instanceof OutboundError ? error.message : 'the call failed'
  }
}

type HeartbeatFetch = typeof fetch
