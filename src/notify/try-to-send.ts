import type { ClaimedDelivery } from '../store/delivery-store.ts'
import { attempt, type Attempt } from './attempt.ts'
import { DeliveryError, type Channel } from './channel.ts'

/** `unsent`: nothing was tried, so it says nothing about the channel. */
export type SendAttempt = Attempt | { readonly kind: 'unsent'; readonly error: DeliveryError }

/** Sends the messages of one claim, which are all of one channel: one alone, or all of them as one. Never throws. */
export async function tryToSend(
  claimed: readonly [ClaimedDelivery, ...ClaimedDelivery[]],
  channel: Channel | undefined,
  { names, signal }: { readonly names: readonly string[]; readonly signal: AbortSignal },
): Promise<SendAttempt> {
  const [first, ...rest] = claimed
  if (channel === undefined) {
    const defined = names.length === 0 ? 'none is defined' : `defined: ${names.join(', ')}`
    const message = `the channel "${first.channel}" is not in the configuration any more (${defined})`
    return { kind: 'unsent', error: new DeliveryError(message, { retryable: false }) }
  }
  if (first.refused !== undefined) {
    return { kind: 'unsent', error: new DeliveryError(first.refused, { retryable: false }) }
  }
  return attempt(
    () =>
      rest.length > 0 && channel.sendTogether !== undefined
        ? channel.sendTogether([first.notification, ...rest.map(({ notification }) => notification)], signal)
        : channel.send(first.notification, signal, first.ref),
    signal,
  )
}
