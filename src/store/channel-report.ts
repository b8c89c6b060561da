import type { ChannelState, WaitingMessages } from './channel-state-store.ts'

/** `failing`: the last tries failed, it may get better. `broken`: told elsewhere, probed, until something gets through. */
export const CHANNEL_CONDITIONS = ['working', 'failing', 'broken', 'unused'] as const
export type ChannelCondition = (typeof CHANNEL_CONDITIONS)[number]

/** One channel as operators see it: HTTP API, command line. */
export interface ChannelReport {
  readonly name: string
  readonly type: string
  readonly state: ChannelCondition
  /** Since when it has been failing or broken. */
  readonly since: string | null
  /** True when the other side refused for good: only probes are sent. */
  readonly refused: boolean
  readonly last_error: string | null
  readonly failures: number
  readonly next_probe_at: string | null
  /** Where people were told that it is broken. */
  readonly told_on: string | null
  readonly paused_until: string | null
  readonly last_delivered_at: string | null
  readonly waiting: number
  readonly oldest_waiting_at: string | null
}

/** What is known of each channel of the configuration, in its order. Pure. */
export function channelReports(
  channels: readonly { readonly name: string; readonly type: string }[],
  {
    states,
    waiting,
    nowMs,
  }: {
    readonly states: readonly ChannelState[]
    readonly waiting: ReadonlyMap<string, WaitingMessages>
    readonly nowMs: number
  },
): ChannelReport[] {
  const byName = new Map(states.map((state) => [state.channel, state]))
  return channels.map(({ name, type }) => {
    const state = byName.get(name)
    const messages = waiting.get(name)
    const since = state?.brokenAt === undefined ? state?.failingSince : (state.failingSince ?? state.brokenAt)
    const isPaused = state?.freeAt !== undefined && state.freeAt.getTime() > nowMs
    return {
      name,
      type,
      state: conditionOf(state),
      since: isoOrNull(since),
      refused: state?.refused ?? false,
      last_error: since === undefined ? null : (state?.lastError ?? null),
      failures: state?.failures ?? 0,
      next_probe_at: isoOrNull(state?.brokenAt === undefined ? undefined : state.probeAt),
      told_on: state?.toldOn ?? null,
      paused_until: isoOrNull(isPaused ? state.freeAt : undefined),
      last_delivered_at: isoOrNull(state?.lastDeliveredAt),
      waiting: messages?.count ?? 0,
      oldest_waiting_at: isoOrNull(messages?.oldestAt),
    }
  })
}

function conditionOf(state: ChannelState | undefined): ChannelCondition {
  if (state?.brokenAt !== undefined) return 'broken'
  if (state?.failingSince !== undefined) return 'failing'
  return state?.lastDeliveredAt === undefined ? 'unused' : 'working'
}

function isoOrNull(at: Date | undefined): string | null {
  return at?.toISOString() ?? null
}
