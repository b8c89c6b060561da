import { LEARN_DELAY_MS, type Profile } from '../detect/profile.ts'
import { endsDay, habitOf, HABIT_KEPT_MS, type KeyHabit } from '../detect/key-habit.ts'
import { priorsOf, type Priors } from '../detect/prior.ts'
import type { Awaitable, EngineStore } from '../store/engine-store.ts'
import { HOUR_MS } from '../usage/duration.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { bucketStart } from '../usage/rollup.ts'

/** Of a larger fleet so many keys tell enough: quantiles of thousands hardly move. */
const HABITS_READ_MAX = 10_000

/** Read anew when an hour has been learnt: habits change once a day, and the keys of a fleet not all in the same hour. */
const known = new WeakMap<object, { readonly hourMs: number; readonly priors: Awaitable<Priors> }>()

/** What is usual for the keys of the fleet and of its teams, of what had been learnt by `nowMs`. */
export function priorsAt(store: Pick<EngineStore, 'habits'>, nowMs: number): Awaitable<Priors> {
  const hourMs = bucketStart(nowMs - LEARN_DELAY_MS, HOUR_MS)
  const before = known.get(store)
  if (before?.hourMs === hourMs) return before.priors
  const range = { sinceMs: nowMs - HABIT_KEPT_MS, limit: HABITS_READ_MAX }
  const reading = store.habits(range).then((habits) => {
    const priors = priorsOf(habits, nowMs)
    known.set(store, { hourMs, priors })
    return priors
  })
  known.set(store, { hourMs, priors: reading })
  // What could not be read is asked for again at the next tick.
  reading.catch(() => known.delete(store))
  return reading
}

/** The last instant at which `priorsAt` says what it says at `nowMs`. */
export function priorsHoldUntil(nowMs: number): number {
  return bucketStart(nowMs - LEARN_DELAY_MS, HOUR_MS) + HOUR_MS + LEARN_DELAY_MS - 1
}

/** What the keys that have just learnt tell of their fleet: those for which a day ended. */
export function habitsAfter(
  taught: readonly Profile[],
  {
    before,
    keys,
  }: {
    readonly before: ReadonlyMap<string, Profile>
    readonly keys: ReadonlyMap<string, KeyAttributes>
  },
): KeyHabit[] {
  return taught.flatMap((profile) => {
    if (!endsDay(before.get(profile.keyId), profile)) return []
    return habitOf(profile, keys.get(profile.keyId)?.teamId) ?? []
  })
}
