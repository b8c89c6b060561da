import { startDelivering } from '../../notify/deliver.ts'
import { createDeliveryStore } from '../../store/postgres/delivery-store.ts'
import type { Part, PartContext } from './part.ts'

/** The role `notify`: messages from the outbox to the channels. */
export function startNotify(context: PartContext): Part {
  const { session, live, clock, log, metrics, onDelivery } = context
  const delivering = startDelivering({
    deliveries: createDeliveryStore(session.database),
    channels: () => live.channels,
    clock,
    log,
    onOutcome: (report) => {
      metrics.engine.delivery(report.delivery.channel, report.outcome.kind)
      onDelivery?.(report)
    },
  })
  context.onAlertsChanged(() => delivering.wake())
  return delivering
}
