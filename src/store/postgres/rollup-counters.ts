/** The counters of `usage_rollup` and `usage_source`. */
export const COUNTER_NAMES = [
  'requests',
  'refused',
  'input_tokens',
  'output_tokens',
  'cached_input_tokens',
  'cost_nano_usd',
  'unpriced',
] as const

/** Counters stop here instead of failing a batch, or counting wrongly in JavaScript. */
const COUNTER_MAX = String(Number.MAX_SAFE_INTEGER)

/** SQL that adds the counters of `excluded` to those of the row `r` that is there. */
export const ADDED_COUNTERS = `
    requests = r.requests + excluded.requests,
    refused = r.refused + excluded.refused,
    input_tokens = least(r.input_tokens + excluded.input_tokens, ${COUNTER_MAX}),
    output_tokens = least(r.output_tokens + excluded.output_tokens, ${COUNTER_MAX}),
    cached_input_tokens = least(r.cached_input_tokens + excluded.cached_input_tokens, ${COUNTER_MAX}),
    cost_nano_usd = least(r.cost_nano_usd + excluded.cost_nano_usd, ${COUNTER_MAX}),
    unpriced = r.unpriced + excluded.unpriced`

/** Sums of float8 are exact up to COUNTER_MAX, which is where counters stop; sums of bigint are numeric, and slow. */
export function saturated(sum: string): string {
  return `least(coalesce(${sum}, 0), ${COUNTER_MAX})::bigint`
}
