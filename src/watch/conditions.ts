import { detectorFailing, heartbeatFailing, revocationsHalted, revokeFailed } from './conditions/action.ts'
import { deadLetters, geoDataOld, unpricedTraffic } from './conditions/data.ts'
import { deliveriesLate, ingestLagging, ingestSilent, ticksLate } from './conditions/flow.ts'
import { databaseUnreachable, queueUnreachable } from './conditions/servers.ts'
import type { Condition, Judgement } from './judgement.ts'
import type { SelfWatchSettings } from './settings.ts'
import type { Signals } from './signals.ts'

/** Every way in which keyhound knows that it is ill, in the order of the runbook. */
export const CONDITIONS: readonly Condition[] = [
  ingestSilent,
  ingestLagging,
  ticksLate,
  deliveriesLate,
  databaseUnreachable,
  queueUnreachable,
  deadLetters,
  revokeFailed,
  revocationsHalted,
  detectorFailing,
  unpricedTraffic,
  geoDataOld,
  heartbeatFailing,
]

/** What all conditions say at one moment. Pure. */
export function judgeAll(signals: Signals, settings: SelfWatchSettings, nowMs: number): Judgement[] {
  return CONDITIONS.flatMap((condition) => condition.judge(signals, settings, nowMs))
}
