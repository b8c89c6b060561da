import type { z } from 'zod'
import { RemoteError } from '../outbound/remote-error.ts'
import type { Alert } from '../alert/alert.ts'
import type { Notification } from '../alert/notification.ts'

/** A place that messages go to, made from one entry of `channels` in the configuration. */
export interface Channel {
  /**
   * Sends one message and tells what the other side answered, without secrets.
   * Throws DeliveryError. Must end by itself when `signal` aborts.
   */
  send(notification: Notification, signal: AbortSignal): Promise<{ readonly receipt: string }>
  /** The time to leave between two messages; absent: none. */
  readonly minIntervalMs?: number
  /** Frees connections. */
  close?(): Promise<void>
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
  /** Addresses of keyhound's own pages about an alert, by label; none when it is absent. */
  readonly links?: ((alert: Alert) => Readonly<Record<string, string>>) | undefined
}

/** A message could not be handed over. */
export class DeliveryError extends RemoteError {
  override readonly name = 'DeliveryError'
}
