import { OutboundError } from '../outbound/outbound-error.ts'
import { DeliveryError } from './channel.ts'

/** What it means for a message that its request got no answer. Errors that are not of the network are passed on. */
export function toDeliveryError(whom: string, error: unknown): unknown {
  if (!(error instanceof OutboundError)) return error
  return new DeliveryError(`${whom} was not reached: ${error.message}`, {
    retryable: error.retryable,
    cause: error,
  })
}
