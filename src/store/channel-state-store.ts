/** How a channel does, as all replicas see it. */
export interface ChannelState {
  readonly channel: string
  /** Nothing is sent before this: its pace, or a pause that the other side asked for. */
  readonly freeAt: Date | undefined
  /** Since when every try has failed, and how many; undefined and 0 while it works. */
  readonly failingSince: Date | undefined
  readonly failures: number
  /** Since when it is broken: refused for good, or failing for long. */
  readonly brokenAt: Date | undefined
  /** True when the other side refused for good: nothing but probes is sent until somebody mends it. */
  readonly refused: boolean
  readonly lastError: string | undefined
  /** The channel on which people were told that it is broken. */
  readonly toldOn: string | undefined
  readonly probeAt: Date | undefined
  readonly lastDeliveredAt: Date | undefined
}

export interface ChannelFailure {
  readonly error: string
  /** The other side refused for good: the channel is broken at once. */
  readonly refused: boolean
  readonly nowMs: number
  /** Failing for so long, it is broken as well. */
  readonly brokenAfterMs: number
  /** When it is first probed. */
  readonly probeAtMs: number
}

/** What is to be told about a channel: that it broke, or that it works again. */
export interface ChannelNews {
  readonly kind: 'broken' | 'works'
  readonly state: ChannelState
}

/** Messages of a channel that are in the outbox, not delivered and not given up. */
export interface WaitingMessages {
  readonly count: number
  readonly oldestAt: Date
}

export interface ChannelStateStore {
  list(): Promise<ChannelState[]>
  /** By channel; one for which nothing waits is absent. */
  waiting(): Promise<Map<string, WaitingMessages>>
  /**
   * A message got through. What waits for a retry is due at once; when the channel was broken, what it failed to tell of
   * incidents that are still open is sent again, one message for each. Resolves with the state it was broken in.
   */
  worked(channel: string, nowMs: number): Promise<ChannelState | undefined>
  /** A try failed. Resolves with true when that broke the channel. */
  failed(channel: string, failure: ChannelFailure): Promise<boolean>
  /** Nothing is sent on the channel, by no replica, until then. */
  pause(channel: string, untilMs: number): Promise<void>
  /** Takes the probe of one of the channels that is broken and due for it; `nextMs` says when the one after is. */
  claimProbe(claim: {
    readonly nowMs: number
    readonly channels: readonly string[]
    readonly nextMs: (probes: number) => number
  }): Promise<ChannelState | undefined>
  /** Broken channels are probed at once: the configuration has changed, or keyhound was started anew. */
  probeNow(nowMs: number): Promise<void>
  /** Takes something that nobody was told yet, for `leaseMs`. */
  claimNews(claim: { readonly nowMs: number; readonly leaseMs: number }): Promise<ChannelNews | undefined>
  /** It was told, on the channel named. */
  told(news: ChannelNews, on: string, nowMs: number): Promise<void>
}
