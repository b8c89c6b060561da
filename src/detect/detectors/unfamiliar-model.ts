import { z } from 'zod'
import { defineDetector } from '../detector.ts'
import { budgetedSettings, learningSettings } from '../settings.ts'
import { firstUse, firstUseCalm, type FirstUseKind } from './first-use.ts'
import { isProbing } from './new-models.ts'

const settings = z.strictObject({
  ...budgetedSettings(),
  ...learningSettings({ history: '3d', events: 20 }),
  max_new_per_day: z
    .number()
    .min(0)
    .default(0.1)
    .describe('A key that meets more new models a day than this by habit is not alerted for one more.'),
})

const KIND: FirstUseKind = {
  detector: 'unfamiliar_model',
  metric: 'model',
  phrase: (models) => `used ${models}`,
  knownTo: ({ models }) => models,
  valueOf: (rollup) => rollup.model,
  valuesOf: (digest) => digest.models,
  isStrong: isProbing,
}

export const unfamiliarModel = defineDetector({
  name: 'unfamiliar_model',
  description: 'Use of a model that this key never used.',
  settings,
  usesPrior: true,
  detect: (detection, trace) => firstUse(KIND, detection, trace),
  calm: (detection) => firstUseCalm(KIND, detection),
})
