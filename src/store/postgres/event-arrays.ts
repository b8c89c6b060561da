import type { EnrichedEvent } from '../../usage/event.ts'
import { numberArray, textArray } from './array-literal.ts'

/** The columns of usage_event. */
export const EVENT_COLUMNS = `key_id, event_id, ts, model, provider, ip, country, latitude, longitude, input_tokens, output_tokens,
    cached_input_tokens, cost_nano_usd, cost_estimated, status_code, latency_ms, team_id, user_id, environment, metadata`

/** A batch as one array per column: a third of the work of a row of parameters per event. Its time is `ts_ms`. */
export const EVENT_ARRAYS = `unnest(
        $1::text[], $2::text[], $3::float8[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[], $9::float8[], $10::bigint[],
        $11::bigint[], $12::bigint[], $13::bigint[], $14::boolean[], $15::integer[], $16::bigint[], $17::text[], $18::text[], $19::text[], $20::jsonb[]
      ) as columns (${EVENT_COLUMNS.replace('ts,', 'ts_ms,')})`

/** The batch as the parameters of EVENT_ARRAYS, $1 to $20. */
export function eventArrays(events: readonly EnrichedEvent[]): string[] {
  const texts = (pick: (event: EnrichedEvent) => string | undefined) => textArray(events, pick)
  const numbers = (pick: (event: EnrichedEvent) => number | boolean | undefined) => numberArray(events, pick)
  return [
    texts((event) => event.keyId),
    texts((event) => event.id),
    numbers((event) => event.timestampMs),
    texts((event) => event.model),
    texts((event) => event.provider),
    texts((event) => event.ip),
    texts((event) => event.place?.country),
    numbers((event) => event.place?.latitude),
    numbers((event) => event.place?.longitude),
    numbers((event) => event.inputTokens),
    numbers((event) => event.outputTokens),
    numbers((event) => event.cachedInputTokens),
    numbers((event) => event.costNanoUsd),
    numbers((event) => event.costEstimated),
    numbers((event) => event.statusCode),
    numbers((event) => event.latencyMs),
    texts((event) => event.teamId),
    texts((event) => event.userId),
    texts((event) => event.environment),
    texts((event) => (event.metadata === undefined ? undefined : JSON.stringify(event.metadata))),
  ]
}
