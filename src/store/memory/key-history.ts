import type { Profile } from '../../detect/profile.ts'
import { HOUR_MS, MINUTE_MS } from '../../usage/duration.ts'
import type { EnrichedEvent, KeyAttributes } from '../../usage/event.ts'
import { RECENT_USAGE_MS, type KeyUsage } from '../../usage/key-usage.ts'
import { addInto, bucketStart, totalsOf, type Rollup } from '../../usage/rollup.ts'
import { SOURCE_BUCKET_MS, sumSources, type SourceUsage } from '../../usage/source.ts'
import { RecentUsage } from './recent-usage.ts'
import { SourceHistory } from './source-history.ts'

type Writable<T> = { -readonly [Field in keyof T]: T[Field] }

/** What the memory store keeps of one key: its minute rollups for as long as somebody looks at them, and its profile. */
export class KeyHistory {
  attributes: KeyAttributes
  profile: Profile | undefined = undefined
  /** From when on it is beyond the habit of the profile not to be used. */
  silentFromMs: number | undefined = undefined
  /** Ascending by bucket. Counters grow in place: whoever keeps a rollup over a tick must copy it. */
  readonly #rollups: Writable<Rollup>[] = []
  readonly #sources = new SourceHistory()
  readonly #view: RecentUsage
  #pruneFromMs = -Infinity

  constructor(attributes: KeyAttributes) {
    this.attributes = attributes
    this.#view = new RecentUsage(attributes, this)
  }

  /** Start of the newest minute with usage. */
  get lastBucketMs(): number {
    return this.#rollups.at(-1)?.bucketMs ?? -Infinity
  }

  hasUsageFrom(fromMs: number, nowMs: number): boolean {
    const newest = this.lastBucketMs
    if (newest <= nowMs) return newest >= fromMs
    return this.#rollups.some(({ bucketMs }) => bucketMs <= nowMs && bucketMs >= fromMs)
  }

  /** The recent usage as a view, which costs little until its rows are asked for. Valid until the next `add`. */
  recentUsage(nowMs: number): KeyUsage {
    this.#view.key = this.attributes
    return this.#view.at(nowMs)
  }

  /** Returns true when a model, a country, an address or a place of the event is not of the recent usage. */
  add(event: EnrichedEvent): boolean {
    const totals = totalsOf(event)
    const isStrange = this.#view.add(event, totals)
    this.#sources.add(event, totals)
    const bucketMs = bucketStart(event.timestampMs)
    let index = this.#rollups.length
    for (; index > 0; index -= 1) {
      const rollup = this.#rollups[index - 1]
      if (rollup === undefined || rollup.bucketMs < bucketMs) break
      const isSame =
        rollup.bucketMs === bucketMs &&
        rollup.model === event.model &&
        rollup.country === event.place?.country
      if (isSame) {
        addInto(rollup, totals)
        return isStrange
      }
    }
    const { keyId, model } = event
    this.#rollups.splice(index, 0, {
      keyId,
      bucketMs,
      model,
      country: event.place?.country,
      ...totals,
    })
    return isStrange
  }

  /** Rollups of the RECENT_USAGE_MS before `nowMs`, none later. */
  recent(nowMs: number): Rollup[] {
    const fromMs = bucketStart(nowMs - RECENT_USAGE_MS)
    return this.#between(fromMs, nowMs + 1)
  }

  /** The sources of the same time. */
  recentSources(nowMs: number): SourceUsage[] {
    const fromMs = bucketStart(nowMs - RECENT_USAGE_MS, SOURCE_BUCKET_MS)
    return this.#sources.within(fromMs, nowMs + 1)
  }

  /** The sources of an hour summed to the hour. */
  hourSources(hourMs: number): SourceUsage[] {
    return sumSources(hourMs, this.#sources.within(hourMs, hourMs + HOUR_MS))
  }

  /** The rollups of an hour summed to the hour, by model and country. */
  hour(hourMs: number): Rollup[] {
    const sums: Writable<Rollup>[] = []
    const ofModel = new Map<string, Writable<Rollup>[]>()
    for (const rollup of this.#within(hourMs)) {
      const alike = ofModel.get(rollup.model)
      const known = alike?.find(({ country }) => country === rollup.country)
      if (known !== undefined) {
        addInto(known, rollup)
        continue
      }
      const sum = { ...rollup, bucketMs: hourMs }
      sums.push(sum)
      if (alike === undefined) ofModel.set(rollup.model, [sum])
      else alike.push(sum)
    }
    return sums
  }

  /** Successful requests in the busiest of the hour's twelve 5-minute slots. */
  busiestFiveMinutes(hourMs: number): number {
    const slots = Array<number>(12).fill(0)
    for (const { bucketMs, requests, refused } of this.#within(hourMs)) {
      const slot = Math.floor((bucketMs - hourMs) / (5 * MINUTE_MS))
      slots[slot] = (slots[slot] ?? 0) + requests - refused
    }
    return Math.max(...slots)
  }

  /** The largest mean size of the successful requests of a minute, a model and a country of the hour, in tokens. */
  largestTokensPerRequest(hourMs: number): number {
    let largest = 0
    for (const { requests, refused, inputTokens, outputTokens } of this.#within(hourMs))
      if (requests > refused) largest = Math.max(largest, (inputTokens + outputTokens) / (requests - refused))
    return largest
  }

  /** Forgets what is older than everything that can still be asked for. */
  prune(nowMs: number): void {
    if (nowMs < this.#pruneFromMs) return
    this.#pruneFromMs = nowMs + SOURCE_BUCKET_MS
    const keepFromMs = Math.min(
      bucketStart(nowMs - RECENT_USAGE_MS),
      this.profile?.learnedUntilMs ?? -Infinity,
    )
    this.#view.prune(bucketStart(keepFromMs, SOURCE_BUCKET_MS))
    this.#sources.prune(bucketStart(keepFromMs, SOURCE_BUCKET_MS))
    const firstKept = this.#rollups.findIndex(({ bucketMs }) => bucketMs >= keepFromMs)
    if (firstKept === 0) return
    this.#rollups.splice(0, firstKept < 0 ? this.#rollups.length : firstKept)
  }

  #within(hourMs: number): Rollup[] {
    return this.#between(hourMs, hourMs + HOUR_MS)
  }

  /** What is asked for is nearly always the newest part, so it is looked for from the end. */
  #between(fromMs: number, toMs: number): Rollup[] {
    const end = this.#rollups.findLastIndex(({ bucketMs }) => bucketMs < toMs) + 1
    let start = end
    while (start > 0 && (this.#rollups[start - 1]?.bucketMs ?? -Infinity) >= fromMs) start -= 1
    return this.#rollups.slice(start, end)
  }
}
