import type { ClaimedDelivery } from '../store/delivery-store.ts'
import { DeliveryError, type Channel, type Sent } from './channel.ts'

/** How one try ended. `unsent`: nothing was tried, so it says nothing about the channel. */
export type Attempt =
  | ({ readonly kind: 'sent' } & Sent)
  | { readonly kind: 'failed'; readonly error: DeliveryError }
  | { readonly kind: 'unsent'; readonly error: DeliveryError }

/** Sends the messages of one claim, which are all of one channel: one alone, or all of them as one. Never throws. */
export async function tryToSend(
  claimed: readonly [ClaimedDelivery, ...ClaimedDelivery[]],
  channel: Channel | undefined,
  { names, signal }: { readonly names: readonly string[]; readonly signal: AbortSignal },
): Promise<Attempt> {
  const [first, ...rest] = claimed
  if (channel === undefined) {
    const defined = names.length === 0 ? 'none is defined' : `defined: ${names.join(', ')}`
    const message = `the channel "${first.channel}" is not in the configuration any more (${defined})`
    return { kind: 'unsent', error: new DeliveryError(message, { retryable: false }) }
  }
  if (first.refused !== undefined) {
    return { kind: 'unsent', error: new DeliveryError(first.refused, { retryable: false }) }
  }
  try {
    const sending =
      rest.length > 0 && channel.sendTogether !== undefined
        ? channel.sendTogether([first.notification, ...rest.map(({ notification }) => notification)], signal)
        : channel.send(first.notification, signal, first.ref)
    return { kind: 'sent', ...(await Promise.race([sending, aborted(signal)])) }
  } catch (error) {
    if (error instanceof DeliveryError) return { kind: 'failed', error }
    // A fault of ours: what it says may hold anything, so only its kind is told.
    const kind = error instanceof Error ? error.name : typeof error
    return {
      kind: 'failed',
      error: new DeliveryError(`the channel failed with ${kind}`, { retryable: true }),
    }
  }
}

/** A channel that does not end when it is told to would hold up its lane for ever. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (): void => {
      // The channel's own words first: it hears the signal at the same moment.
      setImmediate(() => reject(new DeliveryError('the channel did not end in time', { retryable: true })))
    }
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}
