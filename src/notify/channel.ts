import type { z } from 'zod'
import { RemoteError } from '../outbound/remote-error.ts'
import type { Notice } from '../alert/notice.ts'
import type { Notification } from '../alert/notification.ts'

/** A place that messages go to, made from one entry of `channels` in the configuration. */
export interface Channel {
  /**
   * Sends one message and tells what the other side answered, without secrets. `ref` is what an earlier message about
   * the same incident left behind on this channel, for channels that change a message instead of adding one.
   * Throws DeliveryError. Must end by itself when `signal` aborts.
   */
  send(notification: Notification, signal: AbortSignal, ref?: string): Promise<Sent>
  /** Sends many as one message; absent: each goes alone. Like `send` otherwise. */
  sendTogether?(notifications: readonly [Notification, ...Notification[]], signal: AbortSignal): Promise<Sent>
  /** Tells what keyhound has to say about itself. Like `send` otherwise. */
  tell(notice: Notice, signal: AbortSignal): Promise<Sent>
  /** The time to leave between two messages, over all replicas; absent: none. */
  readonly minIntervalMs?: number
  /**
   * Loads the library that the channel sends with, for channels that have one: called once when the channel comes into
   * use, so that a broken installation is told then and not by the first alert. Rejects when it cannot be loaded.
   */
  load?(): Promise<void>
  /** Frees connections. */
  close?(): Promise<void>
}

/** A message that the other side took. */
export interface Sent {
  /** What the other side answered, without secrets. */
  readonly receipt: string
  /** Where the message is, in the words of the channel: given back to `send` with the next message of the incident. */
  readonly ref?: string
}

/** A kind of channel: one file in `channels/`, one line in `registry.ts`. */
export interface ChannelType {
  /** The value of `type:` in the configuration. */
  readonly type: string
  /** Strict object with `type` as a literal; secrets are `secretText`. */
  readonly schema: z.ZodObject
  open(config: Readonly<Record<string, unknown>>, tools: ChannelTools): Channel
}

/** Ties a channel's schema to its `open`, and forgets the type of its configuration so that channels fit one registry. */
export function defineChannel<Schema extends z.ZodObject>(channel: {
  readonly type: string
  readonly schema: Schema
  open(config: z.output<Schema>, tools: ChannelTools): Channel
}): ChannelType {
  // Sound because a configuration reaches `open` only through the channel's own schema.
  return channel as unknown as ChannelType
}

/** What channels are given instead of reaching for globals. */
export interface ChannelTools {
  /** fetch that refuses redirects and, unless allowed, addresses inside the network. */
  readonly fetch: typeof fetch
  readonly nowMs: () => number
  /** Addresses of keyhound's own pages about a message, by what they do; none when it is absent. */
  readonly links?: ((notification: Notification) => Readonly<Record<string, string>>) | undefined
}

/** What a failure is about: `message` when another message may well be taken. */
export type Blame = 'channel' | 'message'

/** A message could not be handed over. */
export class DeliveryError extends RemoteError {
  override readonly name = 'DeliveryError'
  /** Of an error that is not retryable: `channel` (the default) when nothing gets through until somebody mends it. */
  readonly blame: Blame

  constructor(
    message: string,
    options: ConstructorParameters<typeof RemoteError>[1] & { readonly blame?: Blame | undefined },
  ) {
    super(message, options)
    this.blame = options.blame ?? 'channel'
  }
}
