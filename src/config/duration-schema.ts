import { durationMs, formatDuration } from '../usage/duration.ts'

/**
 * A setting that is a duration within limits. The default is a prefault, written as the operator would write it, and so
 * stands in the docs.
 */
export function duration(
  fallback: string,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number },
) {
  return durationMs
    .refine((ms) => ms >= minMs && ms <= maxMs, {
      message: `expected a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    })
    .prefault(fallback)
}
