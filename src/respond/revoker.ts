import type { z } from 'zod'
import { RemoteError } from '../outbound/remote-error.ts'
import type { JobQueue } from '../queue/queues.ts'
import type { RevocationMeans } from '../store/revocation-store.ts'

/** What is asked of a gateway or provider about one key. `requestId` is the same on every retry. */
export interface RevokerCall {
  readonly requestId: string
  readonly keyId: string
  readonly reason: string
  readonly at: Date
  /** The alert that led to it, as JSON of section 6; undefined for an operator's own wish. */
  readonly alert: unknown
  /** True when a call of this request may have reached the other side before. */
  readonly isRepeat: boolean
  /** What `remember` gave before the first call; undefined where the revoker has none. */
  readonly memo: string | undefined
  /** A value of the metadata of the key's newest usage event that has it: where the gateway tells its own id of the key. */
  readonly metadata: (name: string) => Promise<string | undefined>
}

/** What the other side can do about a key, as far as this configuration lets it. */
export interface Capabilities {
  /** Switch the key off so that it can be switched on again. */
  readonly disable: boolean
  /** Undo what a revocation did. */
  readonly restore: boolean
  /** Slow the key down instead of switching it off. */
  readonly throttle: boolean
  /** Remove the key for good. Only where the configuration names it. */
  readonly delete: boolean
}

export interface Receipt {
  /** What the other side answered, without secrets. */
  readonly receipt: string
}

export interface Revoker {
  readonly capabilities: Capabilities
  /** What `revoke` does here. */
  readonly means: RevocationMeans
  /**
   * Reads what `restore` will need to know of the time before; kept from before the first call of `revoke` on, so that a
   * repeat cannot mistake what it did itself for what was before. Throws RevokerError.
   */
  remember?(call: RevokerCall, signal: AbortSignal): Promise<string>
  /** Does what `means` says. Safe to repeat. Throws RevokerError. */
  revoke(call: RevokerCall, signal: AbortSignal): Promise<Receipt>
  /** Undoes it; never called without the capability. Safe to repeat. Throws RevokerError. */
  restore(call: RevokerCall, signal: AbortSignal): Promise<Receipt>
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
  /** keyhound's own queue server; asked only by revokers that use it. */
  readonly queue: (name: string) => JobQueue
}

/** The key could not be revoked or restored. */
export class RevokerError extends RemoteError {
  override readonly name = 'RevokerError'
}

/** Capabilities of a revoker that switches keys off and on again. */
export const SWITCH: Capabilities = { disable: true, restore: true, throttle: false, delete: false }

/** A revoker that switches keys off and on by one call, which differs only in what the key is switched to. */
export function switchRevoker<State>(
  turn: (to: State, call: RevokerCall, signal: AbortSignal) => Promise<Receipt>,
  { off, on }: { readonly off: State; readonly on: State },
): Revoker {
  return {
    capabilities: SWITCH,
    means: 'disable',
    revoke: (call, signal) => turn(off, call, signal),
    restore: (call, signal) => turn(on, call, signal),
  }
}
