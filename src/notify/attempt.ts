import { DeliveryError, type Sent } from './channel.ts'

/** How one try ended. */
export type Attempt =
  | ({ readonly kind: 'sent' } & Sent)
  | { readonly kind: 'failed'; readonly error: DeliveryError }

/** Lets a channel send, and says how that ended. Never throws, and ends with the signal at the latest. */
export async function attempt(send: () => Promise<Sent>, signal: AbortSignal): Promise<Attempt> {
  try {
    return { kind: 'sent', ...(await Promise.race([send(), outOfTime(signal)])) }
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
function outOfTime(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = (): void => {
      // The channel's own words first: it hears the signal at the same moment.
      setImmediate(() => reject(new DeliveryError('the channel did not end in time', { retryable: true })))
    }
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}
