/**
 * One request to a model, as a gateway reported it and `parseUsageEvent` accepted it.
 * Absent values are undefined: an unknown cost is not a cost of 0, an unknown address is not a new one.
 */
export interface UsageEvent {
  /** Unique per request; the same id delivered twice counts once. */
  readonly id: string
  /** When the request happened (event time), epoch milliseconds. */
  readonly timestampMs: number
  /** Stable opaque id of the API key; never the secret. */
  readonly keyId: string
  /** The model as the caller named it. Text an attacker controls. */
  readonly model: string
  readonly provider: string | undefined
  readonly ip: string | undefined
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
  /** Price of the request in 10^-9 US dollars; undefined when nobody knows it. */
  readonly costNanoUsd: number | undefined
  /** What the caller got; 400 and above is a refused call and no volume. */
  readonly statusCode: number
  readonly latencyMs: number | undefined
  readonly teamId: string | undefined
  readonly userId: string | undefined
  readonly environment: string | undefined
  readonly metadata: Readonly<Record<string, string>> | undefined
}

/** Where an address is, as far as the place database knows. */
export interface Place {
  /** ISO 3166-1 alpha-2. */
  readonly country: string
  readonly latitude: number
  readonly longitude: number
}

/** An event with what keyhound found out about it: place and, where the gateway gave none, price. */
export interface EnrichedEvent extends UsageEvent {
  /** Undefined when there is no address, or nobody knows where it is. */
  readonly place: Place | undefined
  /** True when `costNanoUsd` comes from the price list and not from the gateway. */
  readonly costEstimated: boolean
}

/** What overrides and routes match a key on; taken from its newest events. */
export interface KeyAttributes {
  readonly keyId: string
  readonly teamId: string | undefined
  readonly environment: string | undefined
}

export const NANO_USD_PER_USD = 1_000_000_000
