/** The other side did not do what it was asked. `retryable` false means that no later try can succeed. */
export class RemoteError extends Error {
  readonly retryable: boolean
  /** What the other side asked for with Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    options: {
      readonly retryable: boolean
      readonly retryAfterMs?: number | undefined
      readonly cause?: unknown
    },
  ) {
    super(message, { cause: options.cause })
    this.retryable = options.retryable
    this.retryAfterMs = options.retryAfterMs
  }
}
