/** Why a request got no answer. `blocked` and `invalid_url` cannot get better by themselves; the rest may. */
export type OutboundErrorKind = 'blocked' | 'invalid_url' | 'timeout' | 'cancelled' | 'network'

/**
 * A request that got no answer. The message never holds the address, which may be a secret, and the error of the
 * HTTP client is not kept as cause: it may hold the request.
 */
export class OutboundError extends Error {
  override readonly name = 'OutboundError'
  readonly kind: OutboundErrorKind

  constructor(kind: OutboundErrorKind, message: string) {
    super(message)
    this.kind = kind
  }

  get retryable(): boolean {
    return this.kind !== 'blocked' && this.kind !== 'invalid_url'
  }
}
