import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../clock.ts'
import { channelReports } from '../../store/channel-report.ts'
import type { ChannelStateStore } from '../../store/channel-state-store.ts'
import { addRoute } from '../add-route.ts'

export interface ChannelRoutesParts {
  /** The channels of the configuration; asked anew for each request. */
  readonly channels: () => readonly { readonly name: string; readonly type: string }[]
  readonly channelStates: ChannelStateStore
  readonly clock: Clock
}

/** The channels and how they do: which work, which are broken and why, what waits. */
export function channelRoutes(
  app: FastifyInstance,
  { channels, channelStates, clock }: ChannelRoutesParts,
): void {
  addRoute(app, '/channels', {
    GET: async () => {
      const [states, waiting] = await Promise.all([channelStates.list(), channelStates.waiting()])
      return { channels: channelReports(channels(), { states, waiting, nowMs: clock.nowMs() }) }
    },
  })
}
