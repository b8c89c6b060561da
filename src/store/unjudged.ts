import type { KeyCalm } from '../detect/calm.ts'
import { HOUR_MS } from '../usage/duration.ts'
import { RECENT_USAGE_MS } from '../usage/key-usage.ts'
import { bucketStart } from '../usage/rollup.ts'

/** What the rule needs to know of a key. */
export interface JudgedKey {
  /** Start of the newest minute with usage; -Infinity when there is none. */
  readonly lastBucketMs: number
  /** True for usage in a minute that starts from `fromMs` to `nowMs`. */
  hasUsageFrom(fromMs: number, nowMs: number): boolean
}

/** What a judgement rests on besides usage and profile. Whoever leaves a part out has none of it. */
export interface JudgementBasis {
  /** What holds for all keys (the settings among it): one of them is another, and every key is to be judged anew. */
  readonly circumstances?: readonly unknown[] | undefined
  /** What is open on each key with an open alert, by key id, as a text that tells one state from another. */
  readonly watched?: ReadonlyMap<string, string> | undefined
  /** What people said of keys and what was done to them, by key id, as a text that tells one standing from another. */
  readonly standings?: ReadonlyMap<string, string> | undefined
}

/** The time of a look. */
export interface LookRange {
  /** A key is active with usage in a minute that starts from here on. */
  readonly activeSinceMs: number
  readonly nowMs: number
}

interface Judgement {
  readonly look: number
  readonly hourMs: number
  readonly minuteMs: number
  readonly circumstances: readonly unknown[]
  readonly watched: ReadonlyMap<string, string>
  readonly standings: ReadonlyMap<string, string>
}

/** What a look has to judge. */
export interface Picked<Key> {
  readonly keys: Key[]
  readonly isAsBefore: (keyId: string) => boolean
  /** Notes that nothing was found on a key, and for how long it need not be judged. */
  readonly keepCalm: (key: Key, calm: KeyCalm) => void
  readonly judged: (failed?: Iterable<string>) => void
}

/** The keys of a store, and its usage. */
export interface JudgedKeys<Key> {
  readonly all: () => Iterable<Key>
  readonly byId: (keyId: string) => Key | undefined
  /** True when the recent usage of the key is still calm. */
  readonly isCalm: (key: Key, calm: KeyCalm) => boolean
}

interface Mark {
  /** The look that follows. */
  look: number
  /** The first minute in which usage came, and the others: nearly always there is one. */
  bucketMs: number | undefined
  others: number[] | undefined
}

/**
 * Which keys a tick has to judge: the active ones whose judgement can differ from the last, the same for daemon and
 * backtest. These are
 *   * keys with new usage, or a newly learnt hour, since they were judged; but not those that were calm when they were, if
 *     all their new usage is of what they had (`strange` is told otherwise) and they are calm still,
 *   * keys with an open alert when a minute begins, for windows slide by minutes; and those on which something else is
 *     open than at the last tick,
 *   * keys of which people said something else, or to which something was done,
 *   * all keys when an hour of the clock begins, when what holds for all of them is another, and at the first look.
 * A key is active with usage since `activeSinceMs`; with older usage of the recent time it counts as active for as long
 * as that usage, having come late, is not judged (the first look knows no late usage). What was given to a tick is judged
 * only when that tick has said so: a tick that fails is repeated.
 */
export class Unjudged<Key extends JudgedKey> {
  readonly #marks = new Map<Key, Mark>()
  readonly #calm = new Map<Key, KeyCalm>()
  #looks = 0
  #last: Judgement | undefined

  /** Usage of the minute that starts at `bucketMs` came. */
  arrived(key: Key, bucketMs: number): void {
    const mark = this.#mark(key)
    if (mark.bucketMs === undefined) mark.bucketMs = bucketMs
    else if ((mark.others?.at(-1) ?? mark.bucketMs) !== bucketMs) (mark.others ??= []).push(bucketMs)
  }

  /** What is known of the key besides its usage is something else. */
  changed(key: Key): void {
    this.#mark(key)
    this.#calm.delete(key)
  }

  /** What came is not all of what the key had: a model, a country, an address or a place is new, or an hour that is over got usage. */
  strange(key: Key): void {
    this.#calm.delete(key)
  }

  /** The key is there no more. */
  forget(key: Key): void {
    this.#marks.delete(key)
    this.#calm.delete(key)
  }

  /**
   * The keys to judge, out of `all`, each once. `isAsBefore` tells of a key with an open alert that is not among them that
   * it is active, and that a judgement would find what the last one found. `judged` is to be called when what follows has
   * been committed, with the ids of the keys on which a detector failed: those are given again.
   */
  pick(
    { activeSinceMs, nowMs }: LookRange,
    { circumstances = [], watched = NOTHING_KNOWN, standings = NOTHING_KNOWN }: JudgementBasis,
    { all, byId, isCalm }: JudgedKeys<Key>,
  ): Picked<Key> {
    this.#looks += 1
    const now: Judgement = {
      look: this.#looks,
      hourMs: bucketStart(nowMs, HOUR_MS),
      minuteMs: bucketStart(nowMs),
      circumstances,
      watched,
      standings,
    }
    const last = this.#last
    const isAll =
      last === undefined || now.hourMs !== last.hourMs || !isSame(now.circumstances, last.circumstances)
    if (isAll) this.#calm.clear()
    const candidates = isAll ? all() : this.#candidates(last, now, byId)
    const isActive = (key: Key): boolean =>
      key.hasUsageFrom(activeSinceMs, nowMs) ||
      (last !== undefined && this.#cameLate(key, { activeSinceMs, nowMs }))
    const keys: Key[] = []
    for (const key of candidates) if (isActive(key) && !this.#isCalm(key, nowMs, isCalm)) keys.push(key)
    let given: ReadonlySet<Key> | undefined
    return {
      keys,
      isAsBefore: (keyId) => {
        const key = watched.has(keyId) ? byId(keyId) : undefined
        return key !== undefined && isActive(key) && !(given ??= new Set(keys)).has(key)
      },
      keepCalm: (key, calm) => {
        // What a later look has seen, this judgement has not.
        if (now.look === this.#looks) this.#calm.set(key, calm)
      },
      judged: (failed = []) => {
        this.#judged(now, nowMs)
        for (const keyId of failed) {
          const key = byId(keyId)
          if (key !== undefined) this.changed(key)
        }
      },
    }
  }

  /**
   * True when nothing would be picked at `nowMs` and nothing is open, standings and circumstances being as they were: then
   * what came counts as judged. False says nothing. For whoever makes looks by the hundred thousand.
   */
  passes(nowMs: number, { isCalm }: Pick<JudgedKeys<Key>, 'isCalm'>): boolean {
    const last = this.#last
    if (last === undefined || last.watched.size > 0 || bucketStart(nowMs, HOUR_MS) !== last.hourMs)
      return false
    for (const key of this.#marks.keys())
      if (key.lastBucketMs > nowMs || !this.#isCalm(key, nowMs, isCalm)) return false
    this.#marks.clear()
    return true
  }

  #isCalm(key: Key, nowMs: number, isCalm: JudgedKeys<Key>['isCalm']): boolean {
    const calm = this.#calm.get(key)
    return calm !== undefined && nowMs <= calm.untilMs && isCalm(key, calm)
  }

  #candidates(last: Judgement, now: Judgement, byId: (keyId: string) => Key | undefined): Iterable<Key> {
    const others = [...differing(last.watched, now.watched), ...differing(last.standings, now.standings)]
    if (now.minuteMs !== last.minuteMs) others.push(...now.watched.keys())
    if (others.length === 0) return this.#marks.keys()
    const keys = new Set(this.#marks.keys())
    for (const keyId of others) {
      const key = byId(keyId)
      if (key === undefined) continue
      keys.add(key)
      this.#calm.delete(key)
    }
    return keys
  }

  #cameLate(key: Key, { activeSinceMs, nowMs }: LookRange): boolean {
    const recentMs = bucketStart(nowMs - RECENT_USAGE_MS)
    const isLate = (atMs: number): boolean => atMs >= recentMs && atMs < activeSinceMs
    const mark = this.#marks.get(key)
    if (mark?.bucketMs === undefined) return false
    return isLate(mark.bucketMs) || mark.others?.some(isLate) === true
  }

  /** Usage that is stamped later than the tick, by a clock that is fast, is judged when its time has come. */
  #judged(judgement: Judgement, nowMs: number): void {
    if (judgement.look <= (this.#last?.look ?? 0)) return
    this.#last = judgement
    for (const [key, { look }] of this.#marks)
      if (look <= judgement.look && key.lastBucketMs <= nowMs) this.#marks.delete(key)
  }

  #mark(key: Key): Mark {
    const look = this.#looks + 1
    const known = this.#marks.get(key)
    if (known !== undefined) {
      known.look = look
      return known
    }
    const mark: Mark = { look, bucketMs: undefined, others: undefined }
    this.#marks.set(key, mark)
    return mark
  }
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}

const NOTHING_KNOWN: ReadonlyMap<string, string> = new Map()

function differing(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  if (before.size === 0 && after.size === 0) return []
  const keyIds = new Set([...before.keys(), ...after.keys()])
  return [...keyIds].filter((keyId) => before.get(keyId) !== after.get(keyId))
}
