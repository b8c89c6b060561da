import type { AnnounceSettings } from '../alert/announce.ts'
import type { Route } from '../alert/route.ts'
import type { DetectorSettings } from '../detect/detector.ts'
import type { DetectorName } from '../detect/finding.ts'
import type { RevokeSettings } from '../respond/policy.ts'
import type { DetectorOverride } from './overrides.ts'
import type { Problem } from './problem.ts'
import type { GroupField } from './schema.ts'

/** One entry of `channels`, or the revoke action: already checked by the schema of its type. */
export type TypedSettings = Readonly<Record<string, unknown>> & { readonly type: string }

/** The whole configuration, checked, with defaults and environment put in. Secrets in it are `Secret`. */
export interface Config {
  /** The file it was read from; undefined when there is none and the defaults apply. */
  readonly file: string | undefined
  /** Of the file's text; tells whether it has changed. */
  readonly digest: string | undefined
  readonly channels: ReadonlyMap<string, TypedSettings>
  /** Never empty: without `routes` in the file there is one that sends every alert to every channel. */
  readonly routes: readonly Route[]
  readonly notify: NotifySettings
  readonly detectors: ReadonlyMap<DetectorName, DetectorSettings>
  readonly overrides: readonly DetectorOverride[]
  readonly revoke: RevokeSettings
  /** How keys are revoked; set when `revoke.mode` is approve or auto. */
  readonly revokeAction: TypedSettings | undefined
  readonly schedule: { readonly tickMs: number; readonly shards: number }
  readonly retention: RetentionSettings
  readonly network: { readonly allowPrivate: readonly string[] }
  readonly links: { readonly baseUrl: string | undefined }
  /** What is allowed but probably not meant. */
  readonly warnings: readonly Problem[]
}

export interface NotifySettings extends AnnounceSettings {
  readonly groupBy: readonly GroupField[]
  readonly resolveAfterMs: number
}

/** How long each kind of data is kept. */
export interface RetentionSettings {
  readonly eventsMs: number
  readonly rollupsMs: number
  readonly rejectedMs: number
  readonly deliveriesMs: number
}
