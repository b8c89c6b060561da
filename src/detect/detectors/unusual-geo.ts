import { z } from 'zod'
import { defineDetector } from '../detector.ts'
import { isOffSchedule } from '../schedule.ts'
import { gradedSettings, learningSettings } from '../settings.ts'
import { firstUse, firstUseCalm, type FirstUseKind } from './first-use.ts'

const settings = z.strictObject({
  ...gradedSettings(),
  ...learningSettings({ history: '3d', events: 20 }),
  max_new_per_day: z
    .number()
    .min(0)
    .default(0.1)
    .describe('A key that meets more new countries a day than this by habit is not alerted for one more.'),
})

const KIND: FirstUseKind = {
  detector: 'unusual_geo',
  metric: 'country',
  phrase: (countries) => `was used from ${countries}`,
  knownTo: ({ countries }) => countries,
  // An unknown place is not a new one.
  valueOf: (rollup) => rollup.country,
  valuesOf: (digest) => digest.countries,
  // People travel, and what they do is where they are. A job that runs by the clock does neither.
  isStrong: ({ profile, nowMs }) => isOffSchedule(profile, nowMs),
}

export const unusualGeo = defineDetector({
  name: 'unusual_geo',
  description: 'Use from a country that this key was never used from.',
  settings,
  usesPrior: true,
  detect: (detection, trace) => firstUse(KIND, detection, trace),
  calm: (detection) => firstUseCalm(KIND, detection),
})
