import type { Alert } from '../../alert/alert.ts'
import { quietFromMs } from '../../alert/triage.ts'
import type { Profile } from '../../detect/profile.ts'
import { HOUR_MS } from '../../usage/duration.ts'
import type { EnrichedEvent } from '../../usage/event.ts'
import type { KeyUsage } from '../../usage/key-usage.ts'
import { bucketStart } from '../../usage/rollup.ts'
import type {
  AnnouncementPlanner,
  EngineStore,
  KeyHour,
  Shard,
  TickDecisions,
  TickOutcome,
} from '../engine-store.ts'
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
    return true
  }

  activeUsage(
    shard: Shard,
    range: { readonly activeSinceMs: number; readonly nowMs: number },
  ): Promise<KeyUsage[]> {
    const keys = [...this.#keys.values()].filter(
      (key) => key.hasUsageFrom(range.activeSinceMs, range.nowMs) && isIn(shard, key.attributes.keyId),
    )
    return Promise.resolve(this.#usageOf(keys, range.nowMs))
  }

  /**
   * The part of `activeUsage` that can be judged differently than at the last call: keys with new events or a newly
   * learnt hour, keys with an open alert, and all active keys when an hour of the clock has begun.
   */
  changedUsage(range: { readonly activeSinceMs: number; readonly nowMs: number }): KeyUsage[] {
    const hourMs = bucketStart(range.nowMs, HOUR_MS)
    const keys = new Set(hourMs > this.#judgedHourMs ? this.#keys.values() : this.#changed)
    for (const { keyId } of this.#alerts.open()) {
      const key = this.#keys.get(keyId)
      if (key !== undefined) keys.add(key)
    }
    this.#judgedHourMs = hourMs
    this.#changed.clear()
    return this.#usageOf(
      [...keys].filter((key) => key.hasUsageFrom(range.activeSinceMs, range.nowMs)),
      range.nowMs,
    )
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

  saveProfiles(profiles: readonly Profile[]): Promise<void> {
    for (const profile of profiles) {
      const key = this.#keyOf({ keyId: profile.keyId, teamId: undefined, environment: undefined })
      if ((key.profile?.learnedUntilMs ?? -Infinity) >= profile.learnedUntilMs) continue
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

  commit(decisions: TickDecisions, plan: AnnouncementPlanner): Promise<TickOutcome> {
    return Promise.resolve(this.#alerts.commit(decisions, plan))
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
