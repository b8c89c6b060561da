import { MINUTE_MS } from '../usage/duration.ts'
import { bucketStart } from '../usage/rollup.ts'

/** The window of `rollupsWithin` that ends now, as ISO instants for the evidence. */
export function windowOf(windowMs: number, nowMs: number): { readonly start: string; readonly end: string } {
  return span(bucketStart(nowMs) + MINUTE_MS - windowMs, nowMs)
}

export function span(startMs: number, endMs: number): { readonly start: string; readonly end: string } {
  return { start: new Date(startMs).toISOString(), end: new Date(endMs).toISOString() }
}
