import { futureError } from './future-event.ts'
import { parseUsageEvent } from './parse-event.ts'
import { safePayload } from './safe-payload.ts'
import { hashEventSecrets } from './secret-key-id.ts'
import { toWireEvent } from './wire-event.ts'
import type { WireEvent } from './event-schema.ts'

/** What becomes of an event at the door, before it is in the queue. */
export type Admission =
  | { readonly ok: true; readonly event: WireEvent; readonly secretsReplaced: number }
  /** The payload is safe to keep. */
  | { readonly ok: false; readonly error: string; readonly payload: unknown }

/** Checks an event that came in over HTTP or from a file. What goes on to the queue holds known fields and no secrets. */
export function admitEvent(
  raw: unknown,
  { hashKey, nowMs }: { readonly hashKey: Uint8Array; readonly nowMs: number },
): Admission {
  const parsed = parseUsageEvent(raw)
  const error = parsed.ok ? futureError(parsed.event, nowMs) : parsed.error
  if (!parsed.ok || error !== undefined) {
    return { ok: false, error: error ?? 'event: is not valid', payload: safePayload(raw, hashKey) }
  }
  const { event, replaced } = hashEventSecrets(parsed.event, hashKey)
  return { ok: true, event: toWireEvent(event), secretsReplaced: replaced }
}

/** The same for a line of NDJSON; `complete` may add to what was read. */
export function admitLine(
  line: string,
  how: { readonly hashKey: Uint8Array; readonly nowMs: number },
  complete: (raw: unknown) => unknown,
): Admission {
  let raw: unknown
  try {
    raw = JSON.parse(line)
  } catch {
    return { ok: false, error: 'event: the line is not valid JSON', payload: safePayload(line, how.hashKey) }
  }
  return admitEvent(complete(raw), how)
}
