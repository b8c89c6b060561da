import type { z } from 'zod'
import { RemoteError } from '../outbound/remote-error.ts'

/** What is asked of a gateway or provider about one key. `requestId` is the same on every retry. */
export interface RevokerCall {
  readonly requestId: string
  readonly keyId: string
  readonly reason: string
  readonly at: Date
  /** The alert that led to it, as JSON of section 6; undefined for an operator's own wish. */
  readonly alert: unknown
}

export interface Revoker {
  readonly capabilities: { readonly disable: boolean; readonly restore: boolean }
  /** Resolves with what the other side answered, without secrets; throws RevokerError. */
  disable(call: RevokerCall, signal: AbortSignal): Promise<{ readonly receipt: string }>
  restore(call: RevokerCall, signal: AbortSignal): Promise<{ readonly receipt: string }>
}

/** A kind of revoker: one file in `revokers/`, one line in `registry.ts`. */
export interface RevokerType {
  /** The value of `action.type` in the configuration. */
  readonly type: string
  readonly schema: z.ZodObject
  open(config: Readonly<Record<string, unknown>>, tools: RevokerTools): Revoker
}

/** Ties a revoker's schema to its `open`, and forgets the type of its configuration so that revokers fit one registry. */
export function defineRevoker<Schema extends z.ZodObject>(revoker: {
  readonly type: string
  readonly schema: Schema
  open(config: z.output<Schema>, tools: RevokerTools): Revoker
}): RevokerType {
  // Sound because a configuration reaches `open` only through the revoker's own schema.
  return revoker as unknown as RevokerType
}

export interface RevokerTools {
  readonly fetch: typeof fetch
  readonly nowMs: () => number
}

/** The key could not be revoked or restored. */
export class RevokerError extends RemoteError {
  override readonly name = 'RevokerError'
}
