import { MINUTE_MS } from '../../usage/duration.ts'
import { LATE_JUDGED_MS, type LateUsage } from '../engine-store.ts'
import type { Database } from './database.ts'
import { keyAttributes } from './key-row.ts'
import type { LateHour } from './late-usage.ts'
import { recentUsageOf } from './recent-usage.ts'

/** Hours given to a tick: each is a read of its own, and a backlog of a whole fleet must not hold up what is going on now. */
const HOURS_PER_TICK = 50

/** The hours of keys that got usage late and are not judged yet, the newest given first. */
export class LateHours {
  readonly #db: Database
  readonly #waiting = new Map<string, LateHour>()
  /** By name of the hours that the last look saw, who had written what of them is judged. */
  #judged = new Map<string, Set<string>>()

  constructor(db: Database) {
    this.#db = db
  }

  /** The hours of a look. What is judged, and nobody has written to since, is not given again. */
  put(hours: readonly LateHour[]): void {
    const judged = new Map<string, Set<string>>()
    for (const hour of hours) {
      const name = nameOf(hour)
      const writers = this.#judged.get(name)
      if (writers !== undefined) judged.set(name, writers)
      const known = this.#waiting.get(name)
      if (!hour.writers.every((writer) => (writers?.has(writer) ?? false) || known?.writers.includes(writer)))
        this.#waiting.set(name, known === undefined ? hour : joined(known, hour))
    }
    // What one look does not see again, none after it does.
    this.#judged = judged
  }

  /**
   * The hours that are next, with their usage. They are given again until `judged` is called, and those of keys on which a
   * detector `failed` after it, for as long as they are not older than LATE_JUDGED_MS.
   */
  async next(nowMs: number): Promise<{
    readonly usages: readonly LateUsage[]
    readonly judged: (failed?: Iterable<string>) => void
  }> {
    if (this.#waiting.size === 0) return NOTHING
    for (const [name, { hourMs }] of this.#waiting)
      if (hourMs < nowMs - LATE_JUDGED_MS) this.#waiting.delete(name)
    const hours = [...this.#waiting.values()]
      .toSorted((a, b) => b.hourMs - a.hourMs || (a.keyId < b.keyId ? -1 : 1))
      .slice(0, HOURS_PER_TICK)
    const keys = await keyAttributes(
      this.#db,
      hours.map(({ keyId }) => keyId),
    )
    const usages: LateUsage[] = []
    for (const { keyId, lastBucketMs } of hours) {
      const asOfMs = lastBucketMs + MINUTE_MS - 1
      const key = keys.get(keyId) ?? { keyId, teamId: undefined, environment: undefined }
      usages.push({ usage: await recentUsageOf(this.#db, key, asOfMs), asOfMs })
    }
    return {
      usages,
      judged: (failed = []) => {
        const again = new Set(failed)
        for (const hour of hours) {
          if (again.has(hour.keyId)) continue
          const name = nameOf(hour)
          this.#judged.set(name, new Set([...(this.#judged.get(name) ?? []), ...hour.writers]))
          // What came meanwhile is another hour of the same name.
          if (this.#waiting.get(name) === hour) this.#waiting.delete(name)
        }
      },
    }
  }
}

const NOTHING = { usages: [], judged: () => undefined }

function nameOf({ keyId, hourMs }: LateHour): string {
  return `${hourMs} ${keyId}`
}

function joined(known: LateHour, more: LateHour): LateHour {
  return {
    ...known,
    lastBucketMs: Math.max(known.lastBucketMs, more.lastBucketMs),
    writers: [...new Set([...known.writers, ...more.writers])],
  }
}
