import type { Detector } from './detector.ts'
import { spendThreshold } from './detectors/spend-threshold.ts'
import { unfamiliarModel } from './detectors/unfamiliar-model.ts'
import { unusualGeo } from './detectors/unusual-geo.ts'
import { unusualHour } from './detectors/unusual-hour.ts'
import { volumeSpike } from './detectors/volume-spike.ts'

/** All detectors, in the order in which the configuration and the docs list them. */
export const DETECTORS: readonly Detector[] = [
  volumeSpike,
  unusualGeo,
  unusualHour,
  unfamiliarModel,
  spendThreshold,
]
