import type { Logger } from 'pino'
import type { Notification } from '../alert/notification.ts'
import type { Clock } from '../clock.ts'
import { startPolling, type LoopStart, type PollLoop } from '../outbound/poll-loop.ts'
import type { ChannelNews, ChannelState, ChannelStateStore } from '../store/channel-state-store.ts'
import type { DeliveryStore, StrandedDelivery } from '../store/delivery-store.ts'
import { MINUTE_MS, SECOND_MS } from '../usage/duration.ts'
import { attempt } from './attempt.ts'
import type { Channel } from './channel.ts'
import { brokenNotice, worksNotice } from './channel-notice.ts'
import { noteAttempt, probeDelayMs } from './note-attempt.ts'
import { SEND_TIMEOUT_MS } from './send-timeout.ts'
import { tellOnOneOf } from './tell-on-one-of.ts'

/** A message that has not arrived after so long is told on another channel as well. */
export const LATE_MS = 5 * MINUTE_MS
const POLL_MS = 5 * SECOND_MS
const HAND_OVERS_PER_TURN = 50
/** All other channels are tried within it. Should none take it, it is tried again afterwards. */
const TELLING_LEASE_MS = 2 * MINUTE_MS

export interface ChannelWatching extends LoopStart {
  readonly deliveries: DeliveryStore
  readonly states: ChannelStateStore
  readonly channels: () => ReadonlyMap<string, Channel>
  /** The fallbacks of the routes that the message takes. */
  readonly fallbacksFor: (notification: Notification) => readonly string[]
  /** The fallbacks of the routes that name the channel. */
  readonly fallbacksOf: (channel: string) => readonly string[]
  readonly clock: Clock
  readonly log: Logger
  /** Something new is in the outbox. */
  readonly onHandedOver?: () => void
}

/**
 * Sees to what channels could not do: gives their messages to others, tells somewhere else that a channel is broken,
 * probes it, and takes it back. All of it follows from the state that is stored, so that any replica goes on where
 * another one died; a channel is never given up.
 */
export function startWatchingChannels(parts: ChannelWatching): PollLoop {
  const { states, channels, clock, log } = parts
  let known: ReadonlyMap<string, Channel> | undefined
  return startPolling({
    begins: parts.begins,
    turn: async (signal) => {
      // A new configuration, or a new process: what was broken may have been mended.
      if (known !== channels()) await states.probeNow(clock.nowMs())
      known = channels()
      await handOverStranded(parts)
      await tellNews(parts, signal)
      await probeBroken(parts, signal)
      return POLL_MS
    },
    onError: (error) => log.warn({ err: error }, 'broken channels cannot be looked after; trying again'),
  })
}

async function handOverStranded(parts: ChannelWatching): Promise<void> {
  const { deliveries, states, clock, log, onHandedOver } = parts
  const stranded = await deliveries.toHandOver({
    nowMs: clock.nowMs(),
    lateMs: LATE_MS,
    limit: HAND_OVERS_PER_TURN,
  })
  if (stranded.length === 0) return
  const broken = brokenNames(await states.list())
  for (const message of stranded) {
    const standIns = standInsFor(parts, message, broken)
    await deliveries.handOver(message.id, standIns, clock.nowMs())
    const { id, channel, notification, alsoOn } = message
    const fields = { deliveryId: id, channel, alertId: notification.lead.id, standIns, alsoOn }
    if (standIns.length + alsoOn.length === 0) {
      log.error(fields, 'an alert reaches nobody: its channel fails and there is no other')
    } else log.warn(fields, 'a channel fails; its message is told elsewhere')
  }
  onHandedOver?.()
}

/** The route's fallbacks that work; without any, and when nobody else has the message, one other channel that works. */
function standInsFor(
  { channels, fallbacksFor }: ChannelWatching,
  { channel, notification, alsoOn }: StrandedDelivery,
  broken: ReadonlySet<string>,
): string[] {
  const works = (name: string): boolean => name !== channel && channels().has(name) && !broken.has(name)
  const fallbacks = fallbacksFor(notification).filter(works)
  if (fallbacks.length > 0) return fallbacks
  if (alsoOn.some((name) => !broken.has(name))) return []
  const other = [...channels().keys()].find(works)
  return other === undefined ? [] : [other]
}

function brokenNames(states: readonly ChannelState[]): Set<string> {
  return new Set(states.filter(({ brokenAt }) => brokenAt !== undefined).map(({ channel }) => channel))
}

async function tellNews(parts: ChannelWatching, signal: AbortSignal): Promise<void> {
  const { states, clock } = parts
  while (!signal.aborted) {
    const nowMs = clock.nowMs()
    const news = await states.claimNews({ nowMs, leaseMs: TELLING_LEASE_MS })
    if (news === undefined) return
    await tellOne(parts, news, signal)
  }
}

async function tellOne(parts: ChannelWatching, news: ChannelNews, signal: AbortSignal): Promise<void> {
  const { states, channels, clock, log } = parts
  const { kind, state } = news
  const nowMs = clock.nowMs()
  // A channel that was taken out of the configuration is nobody's concern any more.
  if (!channels().has(state.channel)) return states.told(news, state.toldOn ?? state.channel, nowMs)
  const broken = brokenNames(await states.list())
  const others = [...parts.fallbacksOf(state.channel), ...channels().keys()].filter(
    (name) => name !== state.channel && !broken.has(name),
  )
  const told = await tellOnOneOf({
    channels: channels(),
    // The end is told where the beginning was, so that what was opened there is closed.
    order: kind === 'works' && state.toldOn !== undefined ? [state.toldOn, ...others] : others,
    notice: kind === 'broken' ? brokenNotice(state, nowMs) : worksNotice(state, nowMs),
    signal,
  })
  if (told.kind === 'told') {
    await states.told(news, told.channel, clock.nowMs())
    log.info({ channel: state.channel, kind, toldOn: told.channel }, 'the state of a channel was told')
    return
  }
  log.error(
    { channel: state.channel, kind, errors: told.errors },
    'the state of a channel could be told nowhere; it is tried again',
  )
}

/** The probe is the message that the channel works again: when it arrives, it is true. */
async function probeBroken(parts: ChannelWatching, signal: AbortSignal): Promise<void> {
  const { states, channels, clock, log, onHandedOver } = parts
  while (!signal.aborted) {
    const nowMs = clock.nowMs()
    const state = await states.claimProbe({
      nowMs,
      channels: [...channels().keys()],
      nextMs: (probes) => nowMs + probeDelayMs(probes),
    })
    const channel = state === undefined ? undefined : channels().get(state.channel)
    if (state === undefined || channel === undefined) return
    const limit = AbortSignal.any([AbortSignal.timeout(SEND_TIMEOUT_MS), signal])
    const probe = await attempt(() => channel.tell(worksNotice(state, nowMs), limit), limit)
    log.debug({ channel: state.channel, outcome: probe.kind }, 'a broken channel was probed')
    const cameBack = await noteAttempt(parts, {
      channel: state.channel,
      attempt: probe,
      wasStopped: signal.aborted,
      intervalMs: channel.minIntervalMs ?? 0,
    })
    if (cameBack) {
      onHandedOver?.()
      await tellNews(parts, signal)
    }
  }
}
