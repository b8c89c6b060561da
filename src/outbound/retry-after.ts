import { SECOND_MS } from '../usage/duration.ts'

/**
 * Reads a Retry-After header (RFC 9110, 10.2.3), seconds or a date, as milliseconds from `nowMs`. Undefined when it is
 * absent or neither; 0 for a date that has passed.
 */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * SECOND_MS)
  // Date.parse takes much that is no HTTP date; an HTTP date starts with the name of a day.
  if (!/^[A-Z][a-z]{2,8}, /.test(text)) return undefined
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}
