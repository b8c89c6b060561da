import { fallbacksFor } from '../../alert/route.ts'
import { startDelivering } from '../../notify/deliver.ts'
import { startWatchingChannels } from '../../notify/watch-channels.ts'
import { createDeliveryStore } from '../../store/postgres/delivery-store.ts'
import type { Part, PartContext } from './part.ts'

/** The role `notify`: messages from the outbox to the channels, and what is to be done about a channel that fails. */
export function startNotify(context: PartContext): Part {
  const { session, live, clock, log, metrics, onDelivery, begins } = context
  const shared = {
    deliveries: createDeliveryStore(session.database),
    states: session.channelStates,
    channels: () => live.channels,
    clock,
    log,
    begins,
  }
  const delivering = startDelivering({
    ...shared,
    onOutcome: (report) => {
      metrics.engine.delivery(report.delivery.channel, report.outcome.kind)
      onDelivery?.(report)
    },
    onTrouble: () => watching.wake(),
  })
  const watching = startWatchingChannels({
    ...shared,
    fallbacksFor: ({ lead, key }) =>
      fallbacksFor(live.config.routes, { severity: lead.severity, detector: lead.detector, key }),
    fallbacksOf: (channel) =>
      live.config.routes
        .filter(({ channels }) => channels.includes(channel))
        .flatMap(({ fallback = [] }) => fallback),
    onHandedOver: () => delivering.wake(),
  })
  context.onAlertsChanged(() => delivering.wake())
  return {
    stop: async () => {
      await watching.stop()
      await delivering.stop()
    },
  }
}
