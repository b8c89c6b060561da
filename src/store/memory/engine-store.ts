import type { Alert } from '../../alert/alert.ts'
import { quietFromMs } from '../../alert/triage.ts'
import type { KeyCalm } from '../../detect/calm.ts'
import type { KeyHabit } from '../../detect/key-habit.ts'
import { LEARN_DELAY_MS, type Profile } from '../../detect/profile.ts'
import { SILENCE_NEWS_MS, silentFromMs } from '../../detect/silence.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import type { KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type { EngineStore, KeyHour, Shard, TickDecisions, TickOutcome, UsageLook } from '../engine-store.ts'
import { isAny } from '../is-any.ts'
import { Unjudged, type JudgementBasis, type LookRange } from '../unjudged.ts'
import { AlertBook } from './alert-book.ts'
import { KeyHistory } from './key-history.ts'
import { SeenIds } from './seen-ids.ts'

/**
 * The engine's store for the backtest. Its memory is bounded by the number of keys and by a day of event ids, not by
 * the length of the history. Usage that it returns is valid until the next `add`.
 */
export class MemoryEngineStore implements EngineStore {
  readonly #keys = new Map<string, KeyHistory>()
  readonly #seen = new SeenIds()
  readonly #alerts = new AlertBook()
  readonly #habits = new Map<string, KeyHabit>()
  /** Hours with usage that no profile holds yet. */
  readonly #unlearnt = new Map<number, Set<KeyHistory>>()
  /** Of each shard that was looked at. */
  readonly #shards: { readonly shard: Shard; readonly unjudged: Unjudged<KeyHistory> }[] = []
  /** Keys by the instant from which it is beyond their habit not to be used. */
  readonly #silentFrom = new Map<number, Set<KeyHistory>>()

  /** Counts one event; false when its id was there before. Events may come late and in any order. */
  add(event: EnrichedEvent): boolean {
    if (!this.#seen.add(event.id, event.timestampMs)) return false
    const key = this.#keyOf(event)
    const isStrange = key.add(event)
    const hourMs = bucketStart(event.timestampMs, HOUR_MS)
    if (hourMs >= (key.profile?.learnedUntilMs ?? -Infinity)) {
      const keys = this.#unlearnt.get(hourMs)
      if (keys === undefined) this.#unlearnt.set(hourMs, new Set([key]))
      else keys.add(key)
    }
    for (const { shard, unjudged } of this.#shards) {
      if (!isIn(shard, event.keyId)) continue
      unjudged.arrived(key, bucketStart(event.timestampMs))
      if (isStrange) unjudged.strange(key)
    }
    return true
  }

  look(shard: Shard, range: LookRange, basis: JudgementBasis): UsageLook {
    const { activeSinceMs, nowMs } = range
    const isInUse = (key: KeyHistory): boolean => key.hasUsageFrom(activeSinceMs, nowMs)
    const picked = this.#unjudgedOf(shard).pick(range, basis, {
      all: () => this.#keysOf(shard),
      byId: (keyId) => this.#keys.get(keyId),
      isCalm: isCalmAt(nowMs),
    })
    const { keys, isAsBefore, judged } = picked
    for (const key of keys) key.prune(nowMs)
    return {
      usages: keys.map((key) => key.recentUsage(nowMs)),
      // A backtest keeps no usage that old.
      late: NOTHING_LATE,
      isInUse: (keyId) => {
        const key = this.#keys.get(keyId)
        return key !== undefined && isInUse(key)
      },
      isAnyInUse: () => keys.some(isInUse) || isAny(this.#keysOf(shard), isInUse),
      isAsBefore,
      keepCalm: (keyId, calm) => {
        const key = this.#keys.get(keyId)
        if (key !== undefined) picked.keepCalm(key, calm)
      },
      judged,
    }
  }

  /**
   * True when a tick would find nothing to do, settings and standings being as they were at the last: nothing to learn, no
   * alert open, nobody just silent, and all that came of keys that are calm. What came counts as judged then.
   */
  passes(shard: Shard, nowMs: number): boolean {
    return (
      this.#alerts.isEmpty &&
      this.#closedBefore(bucketStart(nowMs - LEARN_DELAY_MS, HOUR_MS)).length === 0 &&
      !this.#isAnySilent(nowMs) &&
      this.#unjudgedOf(shard).passes(nowMs, { isCalm: isCalmAt(nowMs) })
    )
  }

  #isAnySilent(nowMs: number): boolean {
    for (let atMs = bucketStart(nowMs, HOUR_MS); atMs > nowMs - SILENCE_NEWS_MS; atMs -= HOUR_MS)
      if (this.#silentFrom.has(atMs)) return true
    return false
  }

  /** The hours with usage that no profile holds yet that ended by the instant; nearly always there is none. */
  #closedBefore(beforeMs: number): readonly number[] {
    let closed: number[] | undefined
    for (const hourMs of this.#unlearnt.keys()) if (hourMs + HOUR_MS <= beforeMs) (closed ??= []).push(hourMs)
    return closed ?? NO_TIMES
  }

  #unjudgedOf(shard: Shard): Unjudged<KeyHistory> {
    const isSame = (other: Shard): boolean => other.index === shard.index && other.count === shard.count
    const known = this.#shards.find((each) => isSame(each.shard))
    if (known !== undefined) return known.unjudged
    const unjudged = new Unjudged<KeyHistory>()
    this.#shards.push({ shard, unjudged })
    return unjudged
  }

  *#keysOf(shard: Shard): Generator<KeyHistory> {
    for (const key of this.#keys.values()) if (isIn(shard, key.attributes.keyId)) yield key
  }

  /** The recent usage of one key, active or not; undefined when it was never seen. */
  usageOf(keyId: string, nowMs: number): KeyUsage | undefined {
    const key = this.#keys.get(keyId)
    return key === undefined ? undefined : this.#usageOf([key], nowMs)[0]
  }

  profiles(keyIds: readonly string[]): Map<string, Profile> {
    const profiles = new Map<string, Profile>()
    for (const keyId of keyIds) {
      const profile = this.#keys.get(keyId)?.profile
      if (profile !== undefined) profiles.set(keyId, profile)
    }
    return profiles
  }

  unlearntHours(
    shard: Shard,
    { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
  ): KeyHour[] {
    const closed = this.#closedBefore(beforeMs)
    if (closed.length === 0) return NO_HOURS
    const hours: KeyHour[] = []
    for (const hourMs of closed.toSorted((a, b) => a - b)) {
      const keys = [...(this.#unlearnt.get(hourMs) ?? [])].filter((key) => isIn(shard, key.attributes.keyId))
      for (const key of keys.toSorted(byKeyId)) {
        if (hours.length === limit) return hours
        hours.push(this.#hourOf(key, hourMs))
      }
    }
    return hours
  }

  silentKeys(
    shard: Shard,
    { fromMs, toMs, limit }: { readonly fromMs: number; readonly toMs: number; readonly limit: number },
  ): KeyUsage[] {
    const silent: KeyUsage[] = []
    // Silences go beyond the habit at the start of an hour.
    for (let atMs = bucketStart(fromMs, HOUR_MS) + HOUR_MS; atMs <= toMs; atMs += HOUR_MS) {
      const known = this.#silentFrom.get(atMs)
      if (known === undefined) continue
      const keys = [...known].filter((key) => isIn(shard, key.attributes.keyId) && !this.#isUnlearnt(key))
      for (const { attributes } of keys.toSorted(byKeyId))
        if (silent.length < limit) silent.push({ key: attributes, rollups: [], sources: [] })
    }
    return silent
  }

  saveProfiles(profiles: readonly Profile[]): Promise<void> {
    for (const profile of profiles) {
      const key = this.#keyOf({ keyId: profile.keyId, teamId: undefined, environment: undefined })
      if ((key.profile?.learnedUntilMs ?? -Infinity) >= profile.learnedUntilMs) continue
      this.#noteSilence(key, profile)
      key.profile = profile
      for (const { unjudged } of this.#shards) unjudged.changed(key)
      this.#alerts.forgetBefore(profile.keyId, profile.learnedUntilMs)
      for (const [hourMs, keys] of this.#unlearnt) {
        if (hourMs < profile.learnedUntilMs) keys.delete(key)
        if (keys.size === 0) this.#unlearnt.delete(hourMs)
      }
    }
    return Promise.resolve()
  }

  saveHabits(habits: readonly KeyHabit[]): Promise<void> {
    for (const habit of habits)
      if ((this.#habits.get(habit.keyId)?.untilMs ?? -Infinity) < habit.untilMs)
        this.#habits.set(habit.keyId, habit)
    return Promise.resolve()
  }

  habits({ sinceMs, limit }: { readonly sinceMs: number; readonly limit: number }): Promise<KeyHabit[]> {
    const habits = [...this.#habits.values()].filter(({ untilMs }) => untilMs >= sinceMs)
    return Promise.resolve(habits.toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1)).slice(0, limit))
  }

  openAlerts(shard: Shard): Alert[] {
    return this.#alerts.open().filter((alert) => isIn(shard, alert.keyId))
  }

  /** Nothing is announced: nobody is told of a past. */
  commit(decisions: TickDecisions): TickOutcome {
    return this.#alerts.commit(decisions)
  }

  /** The newest minute with usage among the keys with an open alert; -Infinity when there is none. */
  lastUseUnderAlertMs(): number {
    if (this.#alerts.isEmpty) return -Infinity
    return this.#alerts
      .open()
      .reduce(
        (last, { keyId }) => Math.max(last, this.#keys.get(keyId)?.lastBucketMs ?? -Infinity),
        -Infinity,
      )
  }

  /** When the first of the open alerts will be over if none is found again; Infinity when none is open. */
  nextQuietMs(resolveAfterMs: number): number {
    if (this.#alerts.isEmpty) return Infinity
    return this.#alerts
      .open()
      .reduce((first, alert) => Math.min(first, quietFromMs(alert, resolveAfterMs)), Infinity)
  }

  #noteSilence(key: KeyHistory, profile: Profile): void {
    const before = key.silentFromMs
    key.silentFromMs = silentFromMs(profile)
    if (key.silentFromMs === before) return
    if (before !== undefined) {
      const keys = this.#silentFrom.get(before)
      keys?.delete(key)
      if (keys?.size === 0) this.#silentFrom.delete(before)
    }
    if (key.silentFromMs === undefined) return
    const keys = this.#silentFrom.get(key.silentFromMs)
    if (keys === undefined) this.#silentFrom.set(key.silentFromMs, new Set([key]))
    else keys.add(key)
  }

  /** True when the key has usage that its profile does not hold yet. */
  #isUnlearnt(key: KeyHistory): boolean {
    return [...this.#unlearnt.values()].some((keys) => keys.has(key))
  }

  #keyOf({ keyId, teamId, environment }: KeyHistory['attributes']): KeyHistory {
    const known = this.#keys.get(keyId)
    if (known === undefined) {
      const key = new KeyHistory({ keyId, teamId, environment })
      this.#keys.set(keyId, key)
      return key
    }
    const old = known.attributes
    const isChanged =
      (teamId !== undefined && teamId !== old.teamId) ||
      (environment !== undefined && environment !== old.environment)
    if (!isChanged) return known
    known.attributes = { keyId, teamId: teamId ?? old.teamId, environment: environment ?? old.environment }
    for (const { unjudged } of this.#shards) unjudged.changed(known)
    return known
  }

  #hourOf(key: KeyHistory, hourMs: number): KeyHour {
    return {
      key: key.attributes,
      hourMs,
      rollups: key.hour(hourMs),
      sources: key.hourSources(hourMs),
      busiestFiveMinutes: key.busiestFiveMinutes(hourMs),
      largestTokensPerRequest: key.largestTokensPerRequest(hourMs),
      suspect: this.#alerts.isSuspect(key.attributes.keyId, hourMs),
    }
  }

  #usageOf(keys: readonly KeyHistory[], nowMs: number): KeyUsage[] {
    return keys.map((key) => {
      key.prune(nowMs)
      return { key: key.attributes, rollups: key.recent(nowMs), sources: key.recentSources(nowMs) }
    })
  }
}

const NOTHING_LATE: UsageLook['late'] = []
const NO_HOURS: KeyHour[] = []
const NO_TIMES: readonly number[] = []

function isCalmAt(nowMs: number) {
  return (key: KeyHistory, { isCalm }: KeyCalm): boolean => isCalm(key.recentUsage(nowMs), nowMs)
}

function byKeyId(a: KeyHistory, b: KeyHistory): number {
  return a.attributes.keyId < b.attributes.keyId ? -1 : 1
}

/** Spreads keys evenly over shards (FNV-1a). */
function isIn({ index, count }: Shard, keyId: string): boolean {
  if (count === 1) return true
  let hash = 0x811c9dc5
  for (let at = 0; at < keyId.length; at += 1) hash = Math.imul(hash ^ keyId.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % count === index
}
