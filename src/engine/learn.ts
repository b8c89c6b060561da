import { learnHour } from '../detect/learn-hour.ts'
import { passHour } from '../detect/pass-hour.ts'
import { emptyProfile, type Profile } from '../detect/profile.ts'
import type { EngineStore, KeyHour, Shard } from '../store/engine-store.ts'
import type { KeyAttributes } from '../usage/event.ts'

/** Hours learnt at a time: bounds memory when a long history is imported, and lets other work in between. */
const HOURS_PER_ROUND = 5_000

export interface Learner {
  readonly store: Pick<EngineStore, 'unlearntHours' | 'profiles' | 'saveProfiles'>
  readonly timeZoneFor: (key: KeyAttributes) => string
}

/**
 * Teaches profiles every hour of the shard that ended at or before `beforeMs` and is not in them yet, oldest first.
 * Returns how many key-hours were learnt. Repeating it learns nothing twice: a profile knows how far it has learnt.
 */
export async function learnClosedHours(learner: Learner, shard: Shard, beforeMs: number): Promise<number> {
  let learnt = 0
  for (;;) {
    const hours = await learner.store.unlearntHours(shard, { beforeMs, limit: HOURS_PER_ROUND })
    if (hours.length === 0) return learnt
    const known = await learner.store.profiles([...new Set(hours.map((hour) => hour.key.keyId))])
    await learner.store.saveProfiles(teach(hours, known, learner.timeZoneFor))
    learnt += hours.length
    if (hours.length < HOURS_PER_ROUND) return learnt
  }
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
  if (hour.frozen === true) return passHour(before, hour, timeZone)
  return learnHour(before, hour, timeZone)
}
