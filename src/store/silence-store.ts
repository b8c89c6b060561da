import type { Silence, SilenceUse } from '../alert/silence.ts'
import type { RouteMatch } from '../alert/route.ts'

/** What people keep quiet for a while. */
export interface SilenceStore {
  /** Takes effect at once on the alerts that are open. Throws NoSuchAlertError. */
  create(silence: NewSilence): Promise<ListedSilence>
  /** What is in force or to come, then what ended in the last week, at most 500; newest first. */
  list(query: { readonly nowMs: number }): Promise<ListedSilence[]>
  /**
   * Ends a silence now; undefined when there is no such silence. One that is over stays as it was. What it kept quiet and
   * is still open is told at the next tick.
   */
  expire(
    id: string,
    act: { readonly actor: string; readonly nowMs: number },
  ): Promise<ListedSilence | undefined>
}

/** A silence as `silenceRequest` checks it. */
export interface NewSilence {
  readonly matchers: RouteMatch
  /** For one alert alone, until it is resolved; `matchers` is empty then. */
  readonly alertId?: string | undefined
  readonly startsAt: Date
  readonly endsAt: Date
  readonly createdBy: string
  readonly comment: string
  /** Who made the request, for the audit: a token, an account. */
  readonly actor: string
  readonly nowMs: number
}

export interface ListedSilence {
  readonly silence: Silence
  readonly use: SilenceUse
}

/** The alert to silence does not exist, or is resolved already. */
export class NoSuchAlertError extends Error {
  override readonly name = 'NoSuchAlertError'
}
