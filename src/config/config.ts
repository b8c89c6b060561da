import type { AnnounceSettings } from '../alert/announce.ts'
import type { MaintenanceWindow } from '../alert/maintenance.ts'
import type { KeyMatch } from '../alert/pattern.ts'
import type { Route } from '../alert/route.ts'
import type { DetectorSettings } from '../detect/detector.ts'
import type { DetectorName } from '../detect/finding.ts'
import type { MoneySettings } from '../detect/money-at-risk.ts'
import type { RevokeSettings } from '../respond/policy-settings.ts'
import type { DigestSettings, HeartbeatSettings, SelfWatchSettings } from '../watch/settings.ts'
import type { DetectorOverride } from './overrides.ts'
import type { Problem } from './problem.ts'
import type { GroupField } from './alerting-schema.ts'

/** One entry of `channels`, or the revoke action: already checked by the schema of its type. */
export type TypedSettings = Readonly<Record<string, unknown>> & { readonly type: string }

/** One entry of `revoke.actions`. */
export interface RevokeAction {
  readonly match: KeyMatch
  readonly action: TypedSettings
}

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
  readonly severity: MoneySettings
  readonly maintenance: readonly MaintenanceWindow[]
  readonly detectors: ReadonlyMap<DetectorName, DetectorSettings>
  readonly overrides: readonly DetectorOverride[]
  readonly revoke: RevokeSettings
  /** How keys are revoked; set when `revoke.mode` is approve or auto. */
  readonly revokeAction: TypedSettings | undefined
  /** How the keys are revoked that `match`; the first that matches counts, before `revokeAction`. */
  readonly revokeActions: readonly RevokeAction[]
  readonly selfWatch: SelfWatchSettings
  readonly heartbeat: HeartbeatSettings
  readonly weeklyDigest: DigestSettings
  readonly schedule: { readonly tickMs: number; readonly shards: number }
  readonly retention: RetentionSettings
  readonly network: { readonly allowPrivate: readonly string[] }
  /** Of the links in messages; `expireAfterMs` is how long those that act can be used. */
  readonly links: { readonly baseUrl: string | undefined; readonly expireAfterMs: number }
  /** What is allowed but probably not meant. */
  readonly warnings: readonly Problem[]
}

export interface NotifySettings extends AnnounceSettings {
  readonly groupBy: readonly GroupField[]
  readonly resolveAfterMs: number
  readonly cleanEvaluations: number
  readonly closeAt: number
  readonly silenceMaxMs: number
  /** How long what a verdict `safe` teaches lasts. */
  readonly safeForMs: number
}

/** How long each kind of data is kept. */
export interface RetentionSettings {
  readonly eventsMs: number
  readonly rollupsMs: number
  readonly rejectedMs: number
  readonly deliveriesMs: number
}
