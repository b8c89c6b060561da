import type { Alert } from '../alert/alert.ts'
import type { Incident } from '../alert/announce.ts'
import type { Mute } from '../alert/mute.ts'
import type { AnnouncementPlan } from '../alert/plan-announcement.ts'
import type { Finding } from '../detect/finding.ts'
import type { Profile } from '../detect/profile.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import type { Rollup } from '../usage/rollup.ts'
import type { SourceUsage } from '../usage/source.ts'

/** The part of the keys that one tick judges: keys whose hash falls on `index` of `count`. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/** One closed hour of one key, ready to be learnt. */
export interface KeyHour {
  readonly key: KeyAttributes
  /** Start of the hour, epoch milliseconds. */
  readonly hourMs: number
  /** Minute rollups of the hour summed to the hour, by model and country: `bucketMs` is `hourMs`. */
  readonly rollups: readonly Rollup[]
  /** Usage of the hour per address: `bucketMs` is `hourMs`, first and last are those of the hour. Ascending by address; at most SOURCES_MAX. */
  readonly sources: readonly SourceUsage[]
  /**
   * Successful requests in the busiest of the hour's twelve 5-minute slots (00-04, 05-09, ... of minute buckets).
   * Undefined when the store does not know; the learner then takes the hour for one burst.
   */
  readonly busiestFiveMinutes?: number | undefined
  /** True when an alert of severity warning or worse (not of LIMIT_DETECTORS) was open on the key in this hour: facts are kept, habits are not taught. */
  readonly suspect: boolean
  /** True when the key was known to be compromised, or was revoked, in this hour: nothing of it is a habit. */
  readonly frozen?: boolean | undefined
}

/**
 * What the engine needs to be told and to keep. Two implementations, held equal by one contract suite: Postgres for the
 * daemon, memory for the backtest.
 */
export interface EngineStore {
  /**
   * Keys of the shard with usage in a bucket from `activeSinceMs` on, and those whose older usage of the last
   * RECENT_USAGE_MS came in since the call before (of this process: the first call knows none). With their rollups of
   * the last RECENT_USAGE_MS up to `nowMs`.
   */
  activeUsage(
    shard: Shard,
    range: { readonly activeSinceMs: number; readonly nowMs: number },
  ): Promise<KeyUsage[]>
  /** The profiles of the keys; a key that has none is absent. */
  profiles(keyIds: readonly string[]): Promise<Map<string, Profile>>
  /** Hours of the shard's keys that closed before `beforeMs` and are not in their profile, ascending by hour, at most `limit` of them. */
  unlearntHours(
    shard: Shard,
    range: { readonly beforeMs: number; readonly limit: number },
  ): Promise<KeyHour[]>
  /**
   * Keys of the shard whose silence went beyond their habit (silentFromMs of their profile) after `fromMs` and not after
   * `toMs`, that have no usage since; without rollups and sources. Ascending by that instant, then key; at most `limit`.
   */
  silentKeys(
    shard: Shard,
    range: { readonly fromMs: number; readonly toMs: number; readonly limit: number },
  ): Promise<KeyUsage[]>
  /** Stores profiles whole; the newest `learnedUntilMs` wins. */
  saveProfiles(profiles: readonly Profile[]): Promise<void>
  /** Open alerts (not resolved) of the shard. */
  openAlerts(shard: Shard): Promise<Alert[]>
  /**
   * Writes what a tick decided, in one transaction: alerts opened, updated and resolved, their history, the incidents,
   * and the deliveries that `plan` asks for. Safe to repeat: an alert that is already open is updated instead.
   */
  commit(decisions: TickDecisions, plan: AnnouncementPlanner): Promise<TickOutcome>
}

export interface TickDecisions {
  readonly nowMs: number
  readonly findings: readonly {
    readonly finding: Finding
    readonly key: KeyAttributes
    readonly groupKey: string
  }[]
  /** How long an alert must be quiet to be over: for what a person has called expected. */
  readonly resolveAfterMs?: number | undefined
  /** Ids of alerts that have been quiet long enough. */
  readonly resolved: readonly string[]
  /** Ids of open alerts that are below the thresholds that open and above those that close: seen, but not found again. */
  readonly held?: readonly string[] | undefined
  /** Ids of open alerts that were looked for and not found, and are not yet sure to be over. */
  readonly clean?: readonly string[] | undefined
  /** Maintenance windows that are open. The store knows the silences itself. */
  readonly mutes?: readonly Mute[] | undefined
}

/** Says what must be announced about an incident, and where. Pure; called inside the transaction with its newest state. */
export type AnnouncementPlanner = (
  incident: Incident,
  /** All alerts of the incident, the resolved ones too. */
  alerts: readonly Alert[],
  /** Attributes of the keys of the alerts, for routing. */
  keys: ReadonlyMap<string, KeyAttributes>,
) => AnnouncementPlan | undefined

export interface TickOutcome {
  readonly opened: readonly Alert[]
  readonly escalated: readonly Alert[]
  readonly resolved: readonly Alert[]
}
