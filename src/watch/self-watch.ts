import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { startPolling, type LoopStart } from '../outbound/poll-loop.ts'
import type { SelfAlert, SelfAlertStore, SelfMoves } from '../store/self-alert-store.ts'
import { SECOND_MS } from '../usage/duration.ts'
import { advance } from './advance.ts'
import { judgeAll } from './conditions.ts'
import { isAlive } from './is-alive.ts'
import { isBlind } from './is-blind.ts'
import type { Judgement } from './judgement.ts'
import type { SelfWatchSettings } from './settings.ts'
import type { Signals } from './signals.ts'

export interface SelfWatchParts extends LoopStart {
  /** What is known now. Never throws: what cannot be found out is undefined in it. */
  readonly signals: () => Promise<Signals>
  /** Shared by all replicas. */
  readonly shared: SelfAlertStore
  /** Of this process, for when the shared one cannot be reached. */
  readonly own: SelfAlertStore
  readonly settings: () => SelfWatchSettings
  /** Channels that are configured: a target that is not among them is passed over. */
  readonly channelNames: () => readonly string[]
  readonly clock: Clock
  readonly log: Logger
  /** Something is to be told. */
  readonly onMoves?: (moves: SelfMoves) => void
  /** Default LOOK_EVERY_MS. */
  readonly everyMs?: number
}

export interface SelfWatch {
  /** True while nobody can say what the keys do; see `isBlind`. Also true until the first look has been taken. */
  isBlind(): boolean
  /** True while usage is taken in, judged and told of; see `isAlive`. False until the first look has been taken. */
  isAlive(): boolean
  /** The topics of what is wrong, as of the last look of this process. */
  topics(): readonly string[]
  stop(): Promise<void>
}

export const LOOK_EVERY_MS = 10 * SECOND_MS

/**
 * Looks at keyhound's health every few seconds and tells about what is wrong, and when it is over. With the database all
 * replicas share what is open, so that one message goes out however many find it. Without it, each process tells for
 * itself, straight to the channels; what it told so, it also ends itself.
 */
export function startSelfWatch(parts: SelfWatchParts): SelfWatch {
  const { clock, log } = parts
  let last: { readonly blind: boolean; readonly alive: boolean; readonly bad: readonly string[] } | undefined
  let knownShared: readonly string[] = []

  const look = async (): Promise<void> => {
    const signals = await parts.signals()
    const nowMs = clock.nowMs()
    const settings = parts.settings()
    const judgements = judgeAll(signals, settings, nowMs)
    last = {
      blind: isBlind(signals, nowMs),
      alive: isAlive(signals, judgements),
      bad: judgements.filter(({ state }) => state === 'bad').map(({ topic }) => topic),
    }
    if (!settings.enabled) return
    const own = new Set((await parts.own.open()).map(({ topic }) => topic))
    const forAll = judgements.filter(({ topic }) => !own.has(topic))
    const forOwn = judgements.filter(({ topic }) => own.has(topic))
    if (signals.database.kind === 'up') {
      try {
        tell(parts, await move(parts, parts.shared, forAll))
        knownShared = (await parts.shared.open()).map(({ topic }) => topic)
        tell(parts, await move(parts, parts.own, forOwn))
        return
      } catch (error) {
        log.warn({ err: error }, 'the self-watch cannot use the database; this process tells for itself')
      }
    }
    // What all replicas know to be open has been told; whether it is over, they will say together.
    const untold = forAll.filter(({ topic }) => !knownShared.includes(topic))
    tell(parts, await move(parts, parts.own, [...untold, ...forOwn]))
  }

  const loop = startPolling({
    begins: parts.begins,
    turn: async () => {
      await look()
      return parts.everyMs ?? LOOK_EVERY_MS
    },
    onError: (error) => log.error({ err: error }, 'the self-watch failed; trying again'),
  })
  return {
    isBlind: () => last?.blind ?? true,
    isAlive: () => last?.alive ?? false,
    topics: () => last?.bad ?? [],
    stop: () => loop.stop(),
  }
}

async function move(
  { settings, channelNames, clock }: SelfWatchParts,
  store: SelfAlertStore,
  judgements: readonly Judgement[],
): Promise<SelfMoves> {
  const nowMs = clock.nowMs()
  const { channels, repeat_interval: repeatMs } = settings()
  const names = channelNames()
  const known = channels.filter((name) => names.includes(name))
  // Without any channel the log tells it, and nothing waits to be sent.
  const anyOne = names.length === 0 ? [] : [undefined]
  return store.move(
    (open: readonly SelfAlert[]) => advance(open, judgements, { nowMs, repeatMs, newId: randomUUID }),
    { targets: known.length === 0 ? anyOne : known, now: new Date(nowMs) },
  )
}

function tell({ log, onMoves }: SelfWatchParts, moves: SelfMoves): void {
  for (const { alert } of moves.opened) {
    log.error({ topic: alert.topic, severity: alert.severity, title: alert.title }, 'keyhound is not well')
  }
  for (const { topic } of moves.closed) log.info({ topic }, 'keyhound is well again')
  onMoves?.(moves)
}
