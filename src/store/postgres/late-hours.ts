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

  constructor(db: Database) {
    this.#db = db
  }

  put(hours: readonly LateHour[]): void {
    for (const hour of hours) {
      const known = this.#waiting.get(nameOf(hour))
      if (known === undefined || known.lastBucketMs <= hour.lastBucketMs)
        this.#waiting.set(nameOf(hour), hour)
    }
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
        for (const hour of hours)
          // What came meanwhile is another hour of the same name.
          if (!again.has(hour.keyId) && this.#waiting.get(nameOf(hour)) === hour)
            this.#waiting.delete(nameOf(hour))
      },
    }
  }
}

const NOTHING = { usages: [], judged: () => undefined }

function nameOf({ keyId, hourMs }: LateHour): string {
  return `${hourMs} ${keyId}`
}
