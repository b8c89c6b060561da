import { learnHour } from '../detect/learn-hour.ts'
import { passHour } from '../detect/pass-hour.ts'
import { emptyProfile, LEARN_DELAY_MS, type Profile } from '../detect/profile.ts'
import type { Awaitable, EngineStore, KeyHour, Shard } from '../store/engine-store.ts'
import type { KeyAttributes } from '../usage/event.ts'
import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { bucketStart } from '../usage/rollup.ts'
import { habitsAfter } from './priors.ts'

/** Hours learnt at a time: bounds memory when a long history is imported, and lets other work in between. */
const HOURS_PER_ROUND = 5_000
/** For so long after its end an hour may wait for its turn: until two hours after its start, ticks see its usage themselves. */
const SPREAD_MS = 45 * MINUTE_MS
/** After so long ticks learn twice as much at a time, then three times as much, and so on. */
const PART_MS = 5 * MINUTE_MS

export interface Learner {
  readonly store: Pick<EngineStore, 'unlearntHours' | 'profiles' | 'saveProfiles' | 'saveHabits'>
  readonly timeZoneFor: (key: KeyAttributes) => string
  /** Key-hours that a tick learns at first of those that closed of late: the hour of a large fleet must not hold up a tick. All of them when absent. */
  readonly learnPerTick?: number | undefined
}

/**
 * Teaches profiles the hours of the shard that have closed by `nowMs` and are not in them yet, oldest first: those that
 * closed of late a part at each tick, all others now. Returns how many key-hours were learnt. Repeating it learns nothing
 * twice: a profile knows how far it has learnt.
 */
export function learnClosedHours(learner: Learner, shard: Shard, nowMs: number): Awaitable<number> {
  const beforeMs = bucketStart(nowMs - LEARN_DELAY_MS, HOUR_MS)
  const { learnPerTick } = learner
  return learnPerTick === undefined
    ? learnAll(learner, shard, beforeMs)
    : learnInParts(learner, shard, { nowMs, beforeMs, learnPerTick })
}

async function learnInParts(
  learner: Learner,
  shard: Shard,
  {
    nowMs,
    beforeMs,
    learnPerTick,
  }: { readonly nowMs: number; readonly beforeMs: number; readonly learnPerTick: number },
): Promise<number> {
  const learnt = await learnAll(learner, shard, bucketStart(nowMs - SPREAD_MS, HOUR_MS))
  // More and more of it, so that a small fleet is never felt and a large one is done in time.
  const parts = 1 + Math.floor((nowMs - LEARN_DELAY_MS - beforeMs) / PART_MS)
  return learnt + (await learnSome(learner, shard, { beforeMs, limit: parts * learnPerTick }))
}

function learnAll(learner: Learner, shard: Shard, beforeMs: number): Awaitable<number> {
  const round = (): Awaitable<number> => learnSome(learner, shard, { beforeMs, limit: HOURS_PER_ROUND })
  const first = round()
  return first === 0 ? 0 : learnRounds(first, round)
}

async function learnRounds(first: Awaitable<number>, round: () => Awaitable<number>): Promise<number> {
  let learnt = 0
  for (let last = await first; ; last = await round()) {
    learnt += last
    if (last < HOURS_PER_ROUND) return learnt
  }
}

/** Nearly always there is nothing to learn, which memory knows at once. */
function learnSome(
  learner: Learner,
  shard: Shard,
  range: { readonly beforeMs: number; readonly limit: number },
): Awaitable<number> {
  const hours = learner.store.unlearntHours(shard, range)
  return hours instanceof Promise || hours.length > 0 ? learnThese(learner, hours) : 0
}

async function learnThese(
  { store, timeZoneFor }: Learner,
  unlearnt: Awaitable<readonly KeyHour[]>,
): Promise<number> {
  const hours = await unlearnt
  if (hours.length === 0) return 0
  const keys = new Map(hours.map(({ key }) => [key.keyId, key]))
  const known = await store.profiles([...keys.keys()])
  const taught = teach(hours, known, timeZoneFor)
  // Before the profiles: what is learnt twice after a crash tells the same twice.
  const habits = habitsAfter(taught, { before: known, keys })
  if (habits.length > 0) await store.saveHabits(habits)
  await store.saveProfiles(taught)
  return hours.length
}

function teach(
  hours: readonly KeyHour[],
  known: ReadonlyMap<string, Profile>,
  timeZoneFor: Learner['timeZoneFor'],
): Profile[] {
  const taught = new Map<string, Profile>()
  for (const hour of hours) {
    const { keyId } = hour.key
    const timeZone = timeZoneFor(hour.key)
    const before =
      taught.get(keyId) ?? known.get(keyId) ?? emptyProfile({ keyId, firstSeenMs: hour.hourMs, timeZone })
    taught.set(keyId, afterHour(before, hour, timeZone))
  }
  return [...taught.values()]
}

/** Nothing of an hour in which the key was not its owner's. */
function afterHour(before: Profile, hour: KeyHour, timeZone: string): Profile {
  if (hour.frozen === true) return passHour(before, hour)
  return learnHour(before, hour, timeZone)
}
