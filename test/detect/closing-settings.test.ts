import { expect, test } from 'vitest'
import { closingSettings } from '../../src/detect/closing-settings.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import type { DetectorSettings } from '../../src/detect/detector.ts'

const defaultsOf = (name: string) =>
  DETECTORS.find((detector) => detector.name === name)?.settings.parse({}) as unknown as DetectorSettings

test('complaint 4: the thresholds that close are below those that open', () => {
  expect(closingSettings('volume_spike', defaultsOf('volume_spike'), 0.8)).toMatchObject({
    min_requests: 16,
    sensitivity: 'high',
  })
  expect(closingSettings('error_rate', defaultsOf('error_rate'), 0.5)).toMatchObject({
    min_refused: 10,
    min_share: 0.25,
  })
})

test('a share of 1 closes where it opened', () => {
  const settings = defaultsOf('volume_spike')
  expect(closingSettings('volume_spike', settings, 1)).toEqual(settings)
})

test('what is merely new, or carries its own end, has no threshold to close at', () => {
  expect(closingSettings('unusual_geo', defaultsOf('unusual_geo'), 0.8)).toBeUndefined()
  expect(closingSettings('spend_threshold', defaultsOf('spend_threshold'), 0.8)).toBeUndefined()
})
