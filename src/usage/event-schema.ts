import { z } from 'zod'

/** Longest event, as JSON in UTF-8 bytes. */
export const EVENT_BYTES_MAX = 64 * 1024
/** Postgres `integer`; no request has more tokens, and sums of billions of such requests still fit a bigint. */
export const COUNT_MAX = 2_147_483_647
/** Below it a cost is an exact integer of nano-dollars, and no single request costs a million. */
export const COST_USD_LIMIT = 1_000_000

const count = z
  .int()
  .min(0)
  .max(COUNT_MAX)
  .nullish()
  .meta({ description: `an integer from 0 to ${COUNT_MAX}` })

/** Optional text. The limits keep every value short enough for a database index. */
function text(max: number) {
  return z
    .string()
    .max(max)
    .nullish()
    .meta({ description: `a text of at most ${max} characters` })
}

function requiredText(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .meta({ description: `a text of 1 to ${max} characters` })
}

/**
 * The usage event as it is sent, version 1. `parseUsageEvent` runs the JSON schema made of it, compiled; what a JSON
 * schema cannot say (dates, addresses, text that Postgres refuses, total size) is checked there. Each description
 * completes the sentence "... is not". Unknown fields are ignored, and null in an optional field is as if it were absent.
 */
export const usageEventSchema = z.object({
  id: requiredText(128),
  timestamp: z
    .union([z.string(), z.int()])
    .meta({ description: 'ISO-8601 with a zone (2026-01-02T03:04:05Z) nor epoch milliseconds' }),
  key_id: requiredText(256),
  model: requiredText(256),
  provider: text(256),
  ip: z.string().nullish().meta({ description: 'an IPv4 or IPv6 address' }),
  input_tokens: count,
  output_tokens: count,
  cached_input_tokens: count,
  cost_usd: z
    .number()
    .min(0)
    .lt(COST_USD_LIMIT)
    .nullish()
    .meta({ description: `a number from 0 to below ${COST_USD_LIMIT}` }),
  status_code: z.int().min(100).max(599).nullish().meta({ description: 'an integer from 100 to 599' }),
  latency_ms: count,
  team_id: text(256),
  user_id: text(1024),
  environment: text(256),
  metadata: z.record(z.string(), z.string()).nullish().meta({ description: 'an object of texts' }),
})

/** A usage event as it is sent, once it passed the schema. */
export type WireEvent = z.input<typeof usageEventSchema>
