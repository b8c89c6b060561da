import { describe, expect, test } from 'vitest'
import { modelProbe } from '../../src/detect/detectors/model-probe.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { HOUR_MS } from '../../src/usage/duration.ts'
import { find, hourOf, learnt, NOON_MS, rollup, usage } from './history.ts'

const nowMs = NOON_MS + 30 * 60_000
const steady = learnt({ days: 14, hour: (hourMs) => (hourOf(hourMs) >= 8 ? [{ requests: 9 }] : []) })
const probe = [{ ago: 9, model: 'o1-pro' }, { ago: 4, model: 'gpt-5-pro', requests: 2 }, { ago: 2 }]

describe('model_probe', () => {
  test('fires on a few calls of two models that the key never used, and names them', () => {
    const [finding, ...more] = find(modelProbe, { usage: usage(probe, nowMs), profile: steady, nowMs })
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      detector: 'model_probe',
      severity: 'warning',
      summary: 'key-7 tried 2 models that it never used within 30 minutes (3 calls): gpt-5-pro, o1-pro',
      evidence: {
        metric: 'new_models',
        observed: { 'gpt-5-pro': { calls: 2, refused: 0 }, 'o1-pro': { calls: 1, refused: 0 } },
        expected: { 'gpt-4o': 1 },
        setting: 'detectors.model_probe.min_models: 2',
        window: { start: '2026-03-04T12:01:00.000Z', end: '2026-03-04T12:30:00.000Z' },
      },
    })
  })

  test('refused calls are tries: whoever found a key asks for what it may not use', () => {
    const refused = probe.map((cell) => ({ ...cell, requests: 2, refused: 2 }))
    const [finding] = find(modelProbe, { usage: usage(refused, nowMs), profile: steady, nowMs })
    expect(finding?.summary).toContain('(4 calls, all refused)')
  })

  test.each([
    ['one new model is not several', [{ model: 'o1-pro', requests: 5 }], {}],
    [
      'tries further apart than the window',
      [{ model: 'o1-pro', ago: 29 }, { model: 'gpt-5-pro' }],
      { window: '10m' },
    ],
    ['many calls of each are use, not a probe', probe.map((cell) => ({ ...cell, requests: 30 })), {}],
    ['fewer than min_models', probe, { min_models: 3 }],
    ['a key that is still being learnt', probe, { min_history: '30d' }],
    ['a key with too few requests', probe, { min_events: 1_000_000 }],
  ])('does not fire for %s', (_name, cells, settings) => {
    expect(find(modelProbe, { usage: usage(cells, nowMs), profile: steady, nowMs }, settings)).toEqual([])
  })

  test('does not fire for models that the key uses, or keeps being refused', () => {
    const tried = learnt({
      days: 14,
      hour: (hourMs) => [
        { requests: 3 },
        ...(hourOf(hourMs) === 9
          ? [{ model: 'o1-pro' }, { model: 'gpt-5-pro', requests: 2, refused: 2 }]
          : []),
      ],
    })
    expect(find(modelProbe, { usage: usage(probe, nowMs), profile: tried, nowMs })).toEqual([])
  })

  test('does not fire for a key that tries new models by habit', () => {
    const curious = learnt({
      days: 14,
      hour: (hourMs) => [{ requests: 3, model: `model-${Math.floor(hourMs / (48 * HOUR_MS))}` }],
    })
    const recent = { usage: usage(probe, nowMs), profile: curious, nowMs }
    expect(find(modelProbe, recent)).toEqual([])
    expect(find(modelProbe, recent, { max_new_per_day: 5 })).toHaveLength(1)
  })

  test('goes on after the turn of the hour, when the first tries have been learnt', () => {
    const early = learnHour(
      steady,
      { hourMs: NOON_MS, rollups: [rollup({ model: 'o1-pro' })], suspect: false },
      'UTC',
    )
    const laterMs = NOON_MS + HOUR_MS + 6 * 60_000
    const cells = [
      { ago: 12, model: 'o1-pro' },
      { ago: 1, model: 'gpt-5-pro' },
    ]
    expect(find(modelProbe, { usage: usage(cells, laterMs), profile: early, nowMs: laterMs })).toHaveLength(1)
  })
})
