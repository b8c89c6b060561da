import type { Alert } from '../alert/alert.ts'
import type { Incident } from '../alert/announce.ts'
import type { Mute } from '../alert/mute.ts'
import type { AnnouncementPlan } from '../alert/plan-announcement.ts'
import type { KeyCalm } from '../detect/calm.ts'
import type { Finding } from '../detect/finding.ts'
import type { KeyHabit } from '../detect/key-habit.ts'
import type { Profile } from '../detect/profile.ts'
import { HOUR_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { KeyUsage } from '../usage/key-usage.ts'
import type { Rollup } from '../usage/rollup.ts'
import type { SourceUsage } from '../usage/source.ts'
import type { JudgementBasis, LookRange } from './unjudged.ts'

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
  /**
   * The largest mean of a minute's cell of the cube, in input and output tokens a successful request; 0 when the hour has
   * none. Undefined when the store does not know; the learner then takes the mean of the hour.
   */
  readonly largestTokensPerRequest?: number | undefined
  /** True when an alert of severity warning or worse (not of LIMIT_DETECTORS) was open on the key in this hour: facts are kept, habits are not taught. */
  readonly suspect: boolean
  /** True when the key was known to be compromised, or was revoked, in this hour: nothing of it is a habit. */
  readonly frozen?: boolean | undefined
}

/**
 * What memory knows at once and a database later. Whoever asks awaits it only where it has to: a backtest asks at every
 * event, and ten turns of the event loop would take as long as the event.
 */
export type Awaitable<T> = T | Promise<T>

/**
 * What the engine needs to be told and to keep. Two implementations, held equal by one contract suite: Postgres for the
 * daemon, memory for the backtest.
 */
export interface EngineStore {
  /** The keys of the shard that are to be judged, see `Unjudged`, with their usage of the last RECENT_USAGE_MS up to `nowMs`. */
  look(shard: Shard, range: LookRange, basis: JudgementBasis): Awaitable<UsageLook>
  /** The profiles of the keys; a key that has none is absent. */
  profiles(keyIds: readonly string[]): Awaitable<Map<string, Profile>>
  /** Hours of the shard's keys that closed before `beforeMs` and are not in their profile, ascending by hour, at most `limit` of them. */
  unlearntHours(
    shard: Shard,
    range: { readonly beforeMs: number; readonly limit: number },
  ): Awaitable<KeyHour[]>
  /**
   * Keys of the shard whose silence went beyond their habit (silentFromMs of their profile) after `fromMs` and not after
   * `toMs`, that have no usage since; without rollups and sources. Ascending by that instant, then key; at most `limit`.
   */
  silentKeys(
    shard: Shard,
    range: { readonly fromMs: number; readonly toMs: number; readonly limit: number },
  ): Awaitable<KeyUsage[]>
  /** Stores profiles whole; the newest `learnedUntilMs` wins. */
  saveProfiles(profiles: readonly Profile[]): Promise<void>
  /** Stores what keys tell of their fleet; of each key the newest `untilMs` wins. */
  saveHabits(habits: readonly KeyHabit[]): Promise<void>
  /** What the keys of all shards tell of their fleet, no older than `sinceMs`; ascending by key, at most `limit`. */
  habits(range: { readonly sinceMs: number; readonly limit: number }): Promise<KeyHabit[]>
  /** Open alerts (not resolved) of the shard. */
  openAlerts(shard: Shard): Awaitable<Alert[]>
  /**
   * Writes what a tick decided, in one transaction: alerts opened, updated and resolved, their history, the incidents,
   * and the deliveries that `plan` asks for. Safe to repeat: an alert that is already open is updated instead.
   */
  commit(decisions: TickDecisions, plan: AnnouncementPlanner): Awaitable<TickOutcome>
}

/** Usage that came when ticks no longer looked back so far, up to so long after it happened, is judged once, as of then. */
export const LATE_JUDGED_MS = 24 * HOUR_MS

/** The usage of an hour that got some of it late, and of the hour before. */
export interface LateUsage {
  readonly usage: KeyUsage
  /** The end of the last minute that got some: the instant as of which it is to be judged. */
  readonly asOfMs: number
}

/** What was found at one look at the usage of a shard. Usage is valid until the next. */
export interface UsageLook {
  readonly usages: readonly KeyUsage[]
  /** Hours of the last LATE_JUDGED_MS, older than RECENT_USAGE_MS, that got usage since they were judged: some of them, when they are many. */
  readonly late: readonly LateUsage[]
  /** True for a key that is active, whether it is to be judged or not. */
  readonly isInUse: (keyId: string) => boolean
  /** True when any key of the shard is. */
  readonly isAnyInUse: () => boolean
  /** True for a key with an open alert that is active and left out: a judgement would find what the last one found. */
  readonly isAsBefore: (keyId: string) => boolean
  /** To be told of keys on which nothing was found and nothing is open: while they are calm they need not be given again. */
  readonly keepCalm: (keyId: string, calm: KeyCalm) => void
  /**
   * To be called when what follows from the judgement has been committed: until then the same keys are given again, and
   * those on which a detector `failed` are given again after it.
   */
  readonly judged: (failed?: Iterable<string>) => void
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
