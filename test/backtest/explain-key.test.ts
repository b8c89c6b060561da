import { describe, expect, test } from 'vitest'
import { explainKey } from '../../src/backtest/explain-key.ts'
import { parseConfig } from '../../src/config/load.ts'
import { DETECTOR_NAMES, type DetectorName } from '../../src/detect/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { fleetEvents, START_MS } from './fleet.ts'

const THEFT_MS = START_MS + 10 * DAY_MS + 2 * HOUR_MS + 7 * MINUTE_MS

function explained(keyId: string, atMs: number | undefined, yaml = '') {
  return explainKey({
    config: parseConfig(`version: 1\n${yaml}`, 'alerts.yaml', {}),
    events: (async function* () {
      await Promise.resolve()
      yield fleetEvents()
    })(),
    enrich: (event) => event as EnrichedEvent,
    keyId,
    atMs,
    onDetectorError: ({ error }) => {
      throw error
    },
  })
}
const verdictsOf = async (...question: Parameters<typeof explained>) => {
  const told = await explained(...question)
  return Object.fromEntries(
    (told?.explanations ?? []).map(({ detector, verdict }) => [detector, verdict]),
  ) as Record<DetectorName, string>
}

describe('why a key was alerted, or was not', () => {
  test('every detector answers, whatever it found', async () => {
    const told = await explained('app-2', undefined)
    expect(told?.explanations.map(({ detector }) => detector).toSorted()).toEqual(
      [...DETECTOR_NAMES].toSorted(),
    )
    for (const { because } of told?.explanations ?? []) expect(because).not.toBe('')
  })

  test('before the theft all is usual; in it the detectors that raised it have fired', async () => {
    expect(await verdictsOf('app-1', THEFT_MS - MINUTE_MS)).toMatchObject({
      volume_spike: expect.stringMatching(/usual|below_floor/) as string,
      unusual_geo: 'usual',
      unfamiliar_model: 'usual',
    })
    const told = await explained('app-1', THEFT_MS + 20 * MINUTE_MS)
    expect(told?.explanations).toContainEqual(
      expect.objectContaining({
        detector: 'unusual_geo',
        verdict: 'fired',
        because: expect.stringContaining('RO') as string,
      }),
    )
    expect(told?.alerts.map(({ detector }) => detector)).toContain('unusual_geo')
  })

  test('knows nothing that came later', async () => {
    const told = await explained('app-1', THEFT_MS - MINUTE_MS)
    expect(told?.events).toBe(
      fleetEvents().filter((event) => event.keyId === 'app-1' && event.timestampMs <= THEFT_MS - MINUTE_MS)
        .length,
    )
    expect(told?.profile.learnedUntilMs).toBeLessThanOrEqual(THEFT_MS)
    expect(told?.alerts).toEqual([])
  })

  test('a key that is new is being learnt, a detector that is off is off', async () => {
    const verdicts = await verdictsOf(
      'app-1',
      START_MS + 5 * HOUR_MS,
      'detectors: { unfamiliar_model: { enabled: false } }',
    )
    expect(verdicts).toMatchObject({
      unusual_geo: 'learning',
      unusual_hour: 'learning',
      unfamiliar_model: 'off',
    })
  })

  test('a key without usage has no answer', async () => {
    expect(await explained('app-9', undefined)).toBeUndefined()
  })
})
