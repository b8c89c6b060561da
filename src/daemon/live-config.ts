import type { Config, TypedSettings } from '../config/config.ts'
import { tickSettings, type TickSettings } from '../config/tick-settings.ts'
import { matchesKey, type KeyMatch } from '../alert/pattern.ts'
import type { Clock } from '../clock.ts'
import { linksFor } from '../http/pages/action-link.ts'
import type { Channel } from '../notify/channel.ts'
import { CHANNEL_TYPES } from '../notify/registry.ts'
import { outboundFetch, type OutboundFetch } from '../outbound/outbound-fetch.ts'
import { writtenAddresses } from '../outbound/written-addresses.ts'
import { REVOKER_TYPES } from '../respond/registry.ts'
import type { Revoker, RevokerTools } from '../respond/revoker.ts'
import { Secret } from '../secret.ts'
import { SECOND_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'

/** A message that is being sent while the configuration changes ends on the channel it began on. */
const OLD_CHANNELS_LIVE_MS = 60 * SECOND_MS

/** What one configuration means to the running parts. */
interface Derived {
  readonly config: Config
  readonly tick: TickSettings
  readonly channels: ReadonlyMap<string, Channel>
  readonly revokers: readonly { readonly match: KeyMatch; readonly revoker: Revoker }[]
  readonly fetch: OutboundFetch
}

/** The configuration in use, with the channels and the revoker that it names. All parts ask it anew each time. */
export class LiveConfig {
  readonly #clock: Clock
  readonly #queue: RevokerTools['queue']
  readonly #linkKey: Uint8Array | undefined
  #derived: Derived
  readonly #retired = new Map<NodeJS.Timeout, Derived>()

  /** Without `linkKey` messages hold no links that act. */
  constructor(
    config: Config,
    clock: Clock,
    {
      queue = noQueue,
      linkKey,
    }: { readonly queue?: RevokerTools['queue']; readonly linkKey?: Uint8Array } = {},
  ) {
    this.#clock = clock
    this.#queue = queue
    this.#linkKey = linkKey
    this.#derived = derive(config, this.#tools())
  }

  #tools(): DeriveTools {
    return { clock: this.#clock, queue: this.#queue, linkKey: this.#linkKey }
  }

  get config(): Config {
    return this.#derived.config
  }

  get tick(): TickSettings {
    return this.#derived.tick
  }

  get channels(): ReadonlyMap<string, Channel> {
    return this.#derived.channels
  }

  /** For what keyhound calls besides channels and the gateway. */
  get fetch(): OutboundFetch {
    return this.#derived.fetch
  }

  /** Loads what the channels and the revokers send with. Rejects when it cannot be: then no alert would go out. */
  async load(): Promise<void> {
    const { config, channels, revokers, fetch } = this.#derived
    const sends = channels.size > 0 || revokers.length > 0 || config.heartbeat.url !== undefined
    await Promise.all([sends && fetch.load(), ...[...channels.values()].map((channel) => channel.load?.())])
  }

  /** How this key is revoked: by the first of `revoke.actions` that it matches, else by `revoke.action`. */
  revokerFor(key: KeyAttributes): Revoker | undefined {
    return this.#derived.revokers.find(({ match }) => matchesKey(match, key))?.revoker
  }

  /** Puts a new configuration to use. Throws, and changes nothing, when a channel cannot be made from it. */
  replace(config: Config): void {
    const next = derive(config, this.#tools())
    const old = this.#derived
    this.#derived = next
    const timer = setTimeout(() => {
      this.#retired.delete(timer)
      void close(old)
    }, OLD_CHANNELS_LIVE_MS)
    timer.unref()
    this.#retired.set(timer, old)
  }

  async close(): Promise<void> {
    const retired = [...this.#retired]
    this.#retired.clear()
    for (const [timer] of retired) clearTimeout(timer)
    await Promise.all([this.#derived, ...retired.map(([, derived]) => derived)].map(close))
  }
}

/** Opens one channel of the configuration. */
function openChannel(
  name: string,
  settings: TypedSettings,
  {
    config: { links },
    fetch: channelFetch,
    clock,
    linkKey,
    canRevoke,
  }: {
    readonly config: Config
    readonly fetch: typeof fetch
    readonly canRevoke: (key: KeyAttributes) => boolean
  } & Omit<DeriveTools, 'queue'>,
): Channel {
  const type = CHANNEL_TYPES.find((known) => known.type === settings.type)
  if (type === undefined)
    throw new Error(`no channel type "${settings.type}"; the configuration should have refused it`)
  const { baseUrl, expireAfterMs } = links
  return type.open(settings, {
    fetch: channelFetch,
    nowMs: () => clock.nowMs(),
    links:
      baseUrl === undefined
        ? undefined
        : (notification) =>
            linksFor(notification, {
              baseUrl,
              channel: name,
              key: linkKey,
              expiresAt: new Date(clock.nowMs() + expireAfterMs),
              canRevoke: canRevoke(notification.key),
            }),
  })
}

/** For who revokes nothing: a test of a channel. */
function noQueue(name: string): never {
  throw new Error(`the queue ${name} was asked for where keyhound has opened none`)
}

interface DeriveTools {
  readonly clock: Clock
  readonly queue: RevokerTools['queue']
  readonly linkKey: Uint8Array | undefined
}

function derive(config: Config, { clock, queue, linkKey }: DeriveTools): Derived {
  const fetch = outboundFetch({
    allowPrivate: [...config.network.allowPrivate, ...writtenAddresses(urlsOf(config))],
  })
  const revokers = revokersOf(config, { fetch, nowMs: () => clock.nowMs(), queue })
  const canRevoke = (key: KeyAttributes): boolean => revokers.some(({ match }) => matchesKey(match, key))
  const channels = [...config.channels].map(
    ([name, settings]) =>
      [name, openChannel(name, settings, { config, fetch, clock, linkKey, canRevoke })] as const,
  )
  return {
    config,
    tick: tickSettings(config, () => clock.nowMs()),
    channels: new Map(channels),
    revokers,
    fetch,
  }
}

function revokersOf({ revokeAction, revokeActions }: Config, tools: RevokerTools): Derived['revokers'] {
  const rest = revokeAction === undefined ? [] : [{ match: {}, action: revokeAction }]
  return [...revokeActions, ...rest].map(({ match, action }) => ({
    match,
    revoker: openRevoker(action, tools),
  }))
}

function openRevoker(action: TypedSettings, tools: RevokerTools): Revoker {
  const type = REVOKER_TYPES.find((known) => known.type === action.type)
  if (type === undefined)
    throw new Error(`no revoke action "${action.type}"; the configuration should have refused it`)
  return type.open(action, tools)
}

function urlsOf({ channels, revokeAction, revokeActions, heartbeat }: Config): string[] {
  const entries = [
    ...channels.values(),
    ...(revokeAction === undefined ? [] : [revokeAction]),
    ...revokeActions.map(({ action }) => action),
    heartbeat,
  ]
  return entries.flatMap(({ url }) => (url instanceof Secret ? [url.reveal()] : []))
}

async function close({ channels, fetch }: Derived): Promise<void> {
  for (const channel of channels.values()) await channel.close?.()
  await fetch.close()
}
