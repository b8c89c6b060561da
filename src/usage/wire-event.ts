import { NANO_USD_PER_USD, type UsageEvent } from './event.ts'
import type { WireEvent } from './event-schema.ts'

/** The event as it is sent, known fields only: `parseUsageEvent` reads it back as the same event. */
export function toWireEvent(event: UsageEvent): WireEvent {
  return {
    id: event.id,
    timestamp: event.timestampMs,
    key_id: event.keyId,
    model: event.model,
    provider: event.provider,
    ip: event.ip,
    input_tokens: event.inputTokens,
    output_tokens: event.outputTokens,
    cached_input_tokens: event.cachedInputTokens,
    cost_usd: event.costNanoUsd === undefined ? undefined : event.costNanoUsd / NANO_USD_PER_USD,
    status_code: event.statusCode,
    latency_ms: event.latencyMs,
    team_id: event.teamId,
    user_id: event.userId,
    environment: event.environment,
    metadata: event.metadata === undefined ? undefined : { ...event.metadata },
  }
}
