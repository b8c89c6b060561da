import type { EnrichedEvent } from '../../src/usage/event.ts'

/** A usage event as a gateway sends it (wire format, version 1). */
export interface WireEvent {
  id: string
  timestamp: string | number
  key_id: string
  model: string
  provider?: string
  ip?: string
  input_tokens?: number
  output_tokens?: number
  cached_input_tokens?: number
  cost_usd?: number
  status_code?: number
  latency_ms?: number
  team_id?: string
  user_id?: string
  environment?: string
  metadata?: Record<string, string>
}

/** When the events of the builders happen unless told otherwise: a Wednesday at noon. */
export const SOME_TIME_MS = Date.parse('2026-03-04T12:00:00.000Z')

let built = 0

/** A valid wire event with an id of its own; name only what the test is about. */
export function usageEvent(overrides: Partial<WireEvent> = {}): WireEvent {
  built += 1
  return {
    id: `event-${process.pid}-${built}`,
    timestamp: new Date(SOME_TIME_MS).toISOString(),
    key_id: 'key-1',
    model: 'gpt-4o-mini',
    provider: 'openai',
    ip: '8.8.8.8',
    input_tokens: 1_000,
    output_tokens: 200,
    cached_input_tokens: 0,
    cost_usd: 0.00027,
    status_code: 200,
    latency_ms: 640,
    ...overrides,
  }
}

/** An event as ingest hands it to the store: parsed, with place and price. */
export function enrichedEvent(overrides: Partial<EnrichedEvent> = {}): EnrichedEvent {
  built += 1
  return {
    id: `event-${process.pid}-${built}`,
    timestampMs: SOME_TIME_MS,
    keyId: 'key-1',
    model: 'gpt-4o-mini',
    provider: 'openai',
    ip: '8.8.8.8',
    inputTokens: 1_000,
    outputTokens: 200,
    cachedInputTokens: 0,
    costNanoUsd: 270_000,
    statusCode: 200,
    latencyMs: 640,
    teamId: undefined,
    userId: undefined,
    environment: undefined,
    metadata: undefined,
    place: { country: 'US', latitude: 37.751, longitude: -97.822 },
    costEstimated: false,
    ...overrides,
  }
}
