import type { Alert } from '../../alert/alert.ts'
import { quietFromMs } from '../../alert/triage.ts'
import type { Profile } from '../../detect/profile.ts'
import { silentFromMs } from '../../detect/silence.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type { EngineStore, KeyHour, Shard, TickDecisions, TickOutcome } from '../engine-store.ts'
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
  /** Hours with usage that no profile holds yet. */
  readonly #unlearnt = new Map<number, Set<KeyHistory>>()
  readonly #changed = new Set<KeyHistory>()
  /** Keys by the instant from which it is beyond their habit not to be used. */
  readonly #silentFrom = new Map<number, Set<KeyHistory>>()
  /** The events since the last call for usage. */
  readonly #arrivedMs = new Map<KeyHistory, number[]>()
  #isFirstCall = true
  #judgedHourMs = -Infinity

  /** Counts one event; false when its id was there before. Events may come late and in any order. */
  add(event: EnrichedEvent): boolean {
    if (!this.#seen.add(event.id, event.timestampMs)) return false
    const key = this.#keyOf(event)
    key.add(event)
    const hourMs = bucketStart(event.timestampMs, HOUR_MS)
    if (hourMs >= (key.profile?.learnedUntilMs ?? -Infinity)) {
      const keys = this.#unlearnt.get(hourMs)
      if (keys === undefined) this.#unlearnt.set(hourMs, new Set([key]))
      else keys.add(key)
    }
    this.#changed.add(key)
    const arrived = this.#arrivedMs.get(key)
    if (arrived === undefined) this.#arrivedMs.set(key, [event.timestampMs])
    else arrived.push(event.timestampMs)
    return true
  }

  activeUsage(
    shard: Shard,
    range: { readonly activeSinceMs: number; readonly nowMs: number },
  ): Promise<KeyUsage[]> {
    const keys = [...this.#keys.values()].filter(
      (key) => isIn(shard, key.attributes.keyId) && this.#isActive(key, range),
    )
    this.#called(keys)
    return Promise.resolve(this.#usageOf(keys, range.nowMs))
  }

  /**
   * The part of `activeUsage` that can be judged differently than at the last call: keys with new events or a newly
   * learnt hour, keys with an open alert, and all active keys when an hour of the clock has begun.
   */
  changedUsage({
    activeSinceMs,
    nowMs,
  }: {
    readonly activeSinceMs: number
    readonly nowMs: number
  }): KeyUsage[] {
    const hourMs = bucketStart(nowMs, HOUR_MS)
    const keys = hourMs > this.#judgedHourMs ? new Set(this.#keys.values()) : this.#changed
    for (const { keyId } of this.#alerts.open()) {
      const key = this.#keys.get(keyId)
      if (key !== undefined) keys.add(key)
    }
    const usages: KeyUsage[] = []
    for (const key of keys) {
      if (!this.#isActive(key, { activeSinceMs, nowMs })) continue
      key.prune(nowMs)
      usages.push(key.recentUsage(nowMs))
    }
    this.#judgedHourMs = hourMs
    this.#changed.clear()
    this.#called(this.#arrivedMs.keys())
    return usages
  }

  /** True for usage since the instant, and for older usage of the recent time that came since the last call. */
  #isActive(
    key: KeyHistory,
    { activeSinceMs, nowMs }: { readonly activeSinceMs: number; readonly nowMs: number },
  ): boolean {
    if (key.hasUsageFrom(activeSinceMs, nowMs)) return true
    if (this.#isFirstCall) return false
    const recentMs = bucketStart(nowMs - RECENT_USAGE_MS)
    const isLate = (atMs: number): boolean => atMs >= recentMs && bucketStart(atMs) < activeSinceMs
    return this.#arrivedMs.get(key)?.some(isLate) === true
  }

  #called(keys: Iterable<KeyHistory>): void {
    for (const key of keys) this.#arrivedMs.delete(key)
    if (this.#isFirstCall) this.#arrivedMs.clear()
    this.#isFirstCall = false
  }

  /** The recent usage of one key, active or not; undefined when it was never seen. */
  usageOf(keyId: string, nowMs: number): KeyUsage | undefined {
    const key = this.#keys.get(keyId)
    return key === undefined ? undefined : this.#usageOf([key], nowMs)[0]
  }

  profiles(keyIds: readonly string[]): Promise<Map<string, Profile>> {
    const profiles = new Map<string, Profile>()
    for (const keyId of keyIds) {
      const profile = this.#keys.get(keyId)?.profile
      if (profile !== undefined) profiles.set(keyId, profile)
    }
    return Promise.resolve(profiles)
  }

  unlearntHours(
    shard: Shard,
    { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
  ): Promise<KeyHour[]> {
    const closed = [...this.#unlearnt.keys()].filter((hourMs) => hourMs + HOUR_MS <= beforeMs)
    const hours: KeyHour[] = []
    for (const hourMs of closed.toSorted((a, b) => a - b)) {
      const keys = [...(this.#unlearnt.get(hourMs) ?? [])].filter((key) => isIn(shard, key.attributes.keyId))
      for (const key of keys.toSorted(byKeyId)) {
        if (hours.length === limit) return Promise.resolve(hours)
        hours.push(this.#hourOf(key, hourMs))
      }
    }
    return Promise.resolve(hours)
  }

  silentKeys(
    shard: Shard,
    { fromMs, toMs, limit }: { readonly fromMs: number; readonly toMs: number; readonly limit: number },
  ): Promise<KeyUsage[]> {
    const silent: KeyUsage[] = []
    // Silences go beyond the habit at the start of an hour.
    for (let atMs = bucketStart(fromMs, HOUR_MS) + HOUR_MS; atMs <= toMs; atMs += HOUR_MS) {
      const keys = [...(this.#silentFrom.get(atMs) ?? [])].filter(
        (key) => isIn(shard, key.attributes.keyId) && !this.#isUnlearnt(key),
      )
      for (const { attributes } of keys.toSorted(byKeyId))
        if (silent.length < limit) silent.push({ key: attributes, rollups: [], sources: [] })
    }
    return Promise.resolve(silent)
  }

  saveProfiles(profiles: readonly Profile[]): Promise<void> {
    for (const profile of profiles) {
      const key = this.#keyOf({ keyId: profile.keyId, teamId: undefined, environment: undefined })
      if ((key.profile?.learnedUntilMs ?? -Infinity) >= profile.learnedUntilMs) continue
      this.#noteSilence(key, profile)
      key.profile = profile
      this.#changed.add(key)
      this.#alerts.forgetBefore(profile.keyId, profile.learnedUntilMs)
      for (const [hourMs, keys] of this.#unlearnt) {
        if (hourMs < profile.learnedUntilMs) keys.delete(key)
        if (keys.size === 0) this.#unlearnt.delete(hourMs)
      }
    }
    return Promise.resolve()
  }

  openAlerts(shard: Shard): Promise<Alert[]> {
    return Promise.resolve(this.#alerts.open().filter((alert) => isIn(shard, alert.keyId)))
  }

  /** Nothing is announced: nobody is told of a past. */
  commit(decisions: TickDecisions): Promise<TickOutcome> {
    return Promise.resolve(this.#alerts.commit(decisions))
  }

  /** The newest minute with usage among the keys with an open alert; -Infinity when there is none. */
  lastUseUnderAlertMs(): number {
    return this.#alerts
      .open()
      .reduce(
        (last, { keyId }) => Math.max(last, this.#keys.get(keyId)?.lastBucketMs ?? -Infinity),
        -Infinity,
      )
  }

  /** When the first of the open alerts will be over if none is found again; Infinity when none is open. */
  nextQuietMs(resolveAfterMs: number): number {
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
    if (isChanged)
      known.attributes = { keyId, teamId: teamId ?? old.teamId, environment: environment ?? old.environment }
    return known
  }

  #hourOf(key: KeyHistory, hourMs: number): KeyHour {
    return {
      key: key.attributes,
      hourMs,
      rollups: key.hour(hourMs),
      sources: key.hourSources(hourMs),
      busiestFiveMinutes: key.busiestFiveMinutes(hourMs),
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
