import type { Detector } from './detector.ts'
import { impossibleTravel } from './detectors/impossible-travel.ts'
import { distinctAddresses } from './detectors/distinct-addresses.ts'
import { dormantKey } from './detectors/dormant-key.ts'
import { errorRate } from './detectors/error-rate.ts'
import { ipAllowlist } from './detectors/ip-allowlist.ts'
import { keyAge } from './detectors/key-age.ts'
import { keySilent } from './detectors/key-silent.ts'
import { modelProbe } from './detectors/model-probe.ts'
import { slowDrift } from './detectors/slow-drift.ts'
import { spendThreshold } from './detectors/spend-threshold.ts'
import { unpricedTraffic } from './detectors/unpriced-traffic.ts'
import { unfamiliarModel } from './detectors/unfamiliar-model.ts'
import { unusualGeo } from './detectors/unusual-geo.ts'
import { unusualHour } from './detectors/unusual-hour.ts'
import { volumeSpike } from './detectors/volume-spike.ts'

/** All detectors, in the order in which the configuration and the docs list them. */
export const DETECTORS: readonly Detector[] = [
  volumeSpike,
  unusualGeo,
  impossibleTravel,
  unusualHour,
  unfamiliarModel,
  spendThreshold,
  modelProbe,
  dormantKey,
  errorRate,
  ipAllowlist,
  distinctAddresses,
  keyAge,
  unpricedTraffic,
  keySilent,
  slowDrift,
]
