/**
 * What is known of keyhound at one moment. `undefined` is "nobody knows", which is neither good nor bad: a condition on
 * it stays as it was. All instants are epoch milliseconds.
 */
export interface Signals {
  readonly database: Reach
  readonly queue: Reach
  readonly usage?: UsageSignal | undefined
  readonly jobs?: JobsSignal | undefined
  readonly ticks?: TicksSignal | undefined
  readonly deliveries?: DeliveriesSignal | undefined
  readonly rejected?: RejectedSignal | undefined
  readonly pricing?: PricingSignal | undefined
  readonly revocations?: RevocationsSignal | undefined
  /** Of this process; undefined when it runs no detectors. */
  readonly detectors?: readonly DetectorTrouble[] | undefined
  /** When the place data were installed or updated; undefined in a process that looks no places up. */
  readonly geo?: { readonly dataMs: number } | undefined
  /** Of this process; undefined while it has not called anybody. */
  readonly heartbeat?: { readonly failures: number; readonly error: string } | undefined
}

/** Whether a server answers. */
export type Reach =
  | { readonly kind: 'up' }
  | { readonly kind: 'down'; readonly sinceMs: number; readonly error: string }

export interface UsageSignal {
  /** End of the newest minute with usage; undefined when there is none at all. */
  readonly newestMs: number | undefined
  /** Requests that were usual in a span as long as the present silence, at this time; undefined without a history. */
  readonly expected: number | undefined
}

export interface TicksSignal {
  /** Of all shards, the one whose detectors last ran to their end the longest ago; one that never did counts from the start. */
  readonly oldestSuccessMs: number
  /** True when the detectors have run to their end for every shard at least once. */
  readonly haveRun: boolean
  readonly tickMs: number
}

export interface JobsSignal {
  /** Jobs that wait in the queue of usage events. */
  readonly waiting: number
  /** Jobs that have failed for good within the last 15 minutes. */
  readonly failed: number
}

export interface DeliveriesSignal {
  /** Messages that are due and that nobody has tried to send. */
  readonly overdue: number
  readonly oldestDueMs: number | undefined
}

export interface RejectedSignal {
  /** Events refused within the last 15 minutes. */
  readonly count: number
  readonly commonest: string | undefined
}

export interface PricingSignal {
  /** Successful requests within the last hour. */
  readonly requests: number
  readonly unpriced: number
  /** Models without a price, most used first. */
  readonly models: readonly string[]
}

export interface RevocationsSignal {
  /** Keys that keyhound has given up revoking within the last day. */
  readonly failedKeys: number
  /** Why the policy does nothing at present; empty when it may, and where its mode is to do nothing. */
  readonly halts: readonly string[]
}

/** A detector that keeps failing. */
export interface DetectorTrouble {
  readonly detector: string
  /** Keys on which it has failed at their last judgement. */
  readonly keys: number
  /** Failures in a row on the worst of them. */
  readonly inARow: number
  readonly error: string
}
