import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineDetector } from '../../src/detect/detector.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { commonSettings } from '../../src/detect/settings.ts'
import { judge } from '../../src/engine/judge.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { DetectorHealth } from '../../src/watch/detector-health.ts'
import { judgeAll } from '../../src/watch/conditions.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { DEFAULTS, signals } from './signals.ts'

/** A detector that fails on keys of which the name is on the list, and notes whom it was asked about. */
function fragile(failsOn: Set<string>) {
  const asked: string[] = []
  const detector = defineDetector({
    name: 'unusual_geo',
    description: 'for tests',
    settings: z.strictObject(commonSettings('warning')),
    detect: ({ usage }) => {
      asked.push(usage.key.keyId)
      if (failsOn.has(usage.key.keyId)) throw new TypeError(`${usage.key.keyId} broke it`)
      return []
    },
  })
  return { detector, asked }
}

function tickOver(health: DetectorHealth, keyIds: readonly string[], nowMs: number): void {
  for (const keyId of keyIds) {
    const usage = { key: { keyId, teamId: undefined, environment: undefined }, rollups: [], sources: [] }
    const profile = emptyProfile({ keyId, firstSeenMs: SOME_TIME_MS, timeZone: 'UTC' })
    judge(
      {
        detectors: health.watched,
        settingsFor: () => new Map([['unusual_geo', { enabled: true, severity: 'warning' }]]),
        onDetectorError: () => undefined,
      },
      { usage, profile, nowMs },
    )
  }
}

describe('complaint 14: a detector that throws', () => {
  test('is tried again at every tick, on the key it failed on and on every other', () => {
    const { detector, asked } = fragile(new Set(['key-1']))
    const health = new DetectorHealth([detector])
    for (let tick = 0; tick < 3; tick += 1) tickOver(health, ['key-1', 'key-2'], SOME_TIME_MS + tick * 10_000)
    expect(asked).toEqual(['key-1', 'key-2', 'key-1', 'key-2', 'key-1', 'key-2'])
  })

  test('is told about after five ticks in a row, without the words of the error, which may name keys', () => {
    const health = new DetectorHealth([fragile(new Set(['key-1'])).detector])
    const stateAfter = (ticks: number): string | undefined => {
      for (let tick = 0; tick < ticks; tick += 1) tickOver(health, ['key-1', 'key-2'], SOME_TIME_MS)
      const known = signals({ detectors: health.report(SOME_TIME_MS) })
      return judgeAll(known, DEFAULTS, SOME_TIME_MS).find(({ topic }) => topic.startsWith('detector_failing'))
        ?.state
    }
    expect(stateAfter(4)).toBe('unclear')
    expect(stateAfter(1)).toBe('bad')
    expect(health.report(SOME_TIME_MS)).toEqual([
      { detector: 'unusual_geo', keys: 1, inARow: 5, error: 'TypeError' },
    ])
  })

  test('is well again as soon as it judges the key, and was last well when it last judged any', () => {
    const failsOn = new Set(['key-1', 'key-2'])
    const health = new DetectorHealth([fragile(failsOn).detector])
    tickOver(health, ['key-1', 'key-2'], SOME_TIME_MS)
    expect(health.lastSuccesses().get('unusual_geo')).toBeUndefined()
    failsOn.delete('key-1')
    tickOver(health, ['key-1', 'key-2'], SOME_TIME_MS + 10 * SECOND_MS)
    expect(health.lastSuccesses().get('unusual_geo')).toBe(SOME_TIME_MS + 10 * SECOND_MS)
    expect(health.report(SOME_TIME_MS + 10 * SECOND_MS)).toMatchObject([{ keys: 1, inARow: 2 }])
    failsOn.clear()
    tickOver(health, ['key-2'], SOME_TIME_MS + 20 * SECOND_MS)
    expect(health.report(SOME_TIME_MS + 20 * SECOND_MS)).toMatchObject([{ keys: 0, inARow: 0 }])
  })

  test('is not ill for ever because of a key that nobody uses any more', () => {
    const health = new DetectorHealth([fragile(new Set(['key-1'])).detector])
    for (let tick = 0; tick < 9; tick += 1) tickOver(health, ['key-1'], SOME_TIME_MS)
    expect(health.report(SOME_TIME_MS + 16 * MINUTE_MS)).toMatchObject([{ keys: 0, inARow: 0 }])
  })
})
