import type { Config, TypedSettings } from '../config/config.ts'
import { tickSettings, type TickSettings } from '../config/tick-settings.ts'
import type { Clock } from '../clock.ts'
import type { Channel } from '../notify/channel.ts'
import { CHANNEL_TYPES } from '../notify/registry.ts'
import { outboundFetch, type OutboundFetch } from '../outbound/outbound-fetch.ts'
import { writtenAddresses } from '../outbound/written-addresses.ts'
import { REVOKER_TYPES } from '../respond/registry.ts'
import type { Revoker } from '../respond/revoker.ts'
import { Secret } from '../secret.ts'
import { SECOND_MS } from '../usage/duration.ts'

/** A message that is being sent while the configuration changes ends on the channel it began on. */
const OLD_CHANNELS_LIVE_MS = 60 * SECOND_MS

/** What one configuration means to the running parts. */
interface Derived {
  readonly config: Config
  readonly tick: TickSettings
  readonly channels: ReadonlyMap<string, Channel>
  readonly revoker: Revoker | undefined
  readonly fetch: OutboundFetch
}

/** The configuration in use, with the channels and the revoker that it names. All parts ask it anew each time. */
export class LiveConfig {
  readonly #clock: Clock
  #derived: Derived
  readonly #retired = new Map<NodeJS.Timeout, Derived>()

  constructor(config: Config, clock: Clock) {
    this.#clock = clock
    this.#derived = derive(config, clock)
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

  get revoker(): Revoker | undefined {
    return this.#derived.revoker
  }

  /** Puts a new configuration to use. Throws, and changes nothing, when a channel cannot be made from it. */
  replace(config: Config): void {
    const next = derive(config, this.#clock)
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
export function openChannel(
  settings: TypedSettings,
  tools: { readonly config: Config; readonly fetch: typeof fetch; readonly clock: Clock },
): Channel {
  const type = CHANNEL_TYPES.find((known) => known.type === settings.type)
  if (type === undefined)
    throw new Error(`no channel type "${settings.type}"; the configuration should have refused it`)
  const { baseUrl } = tools.config.links
  return type.open(settings, {
    fetch: tools.fetch,
    nowMs: () => tools.clock.nowMs(),
    links:
      baseUrl === undefined
        ? undefined
        : (alert) => ({
            alert: `${baseUrl.replace(/\/$/, '')}/api/v1/alerts/${encodeURIComponent(alert.id)}`,
          }),
  })
}

function derive(config: Config, clock: Clock): Derived {
  const fetch = outboundFetch({
    allowPrivate: [...config.network.allowPrivate, ...writtenAddresses(urlsOf(config))],
  })
  const channels = [...config.channels].map(
    ([name, settings]) => [name, openChannel(settings, { config, fetch, clock })] as const,
  )
  return {
    config,
    tick: tickSettings(config, () => clock.nowMs()),
    channels: new Map(channels),
    revoker: openRevoker(config, fetch, clock),
    fetch,
  }
}

function openRevoker({ revokeAction }: Config, fetch: OutboundFetch, clock: Clock): Revoker | undefined {
  if (revokeAction === undefined) return undefined
  const type = REVOKER_TYPES.find((known) => known.type === revokeAction.type)
  if (type === undefined)
    throw new Error(`no revoke action "${revokeAction.type}"; the configuration should have refused it`)
  return type.open(revokeAction, { fetch, nowMs: () => clock.nowMs() })
}

function urlsOf({ channels, revokeAction }: Config): string[] {
  const entries = [...channels.values(), ...(revokeAction === undefined ? [] : [revokeAction])]
  return entries.flatMap(({ url }) => (url instanceof Secret ? [url.reveal()] : []))
}

async function close({ channels, fetch }: Derived): Promise<void> {
  for (const channel of channels.values()) await channel.close?.()
  await fetch.close()
}
