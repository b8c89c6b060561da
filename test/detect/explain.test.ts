import { describe, expect, test } from 'vitest'
import { calibrationOf, withinBudget } from '../../src/detect/alert-budget.ts'
import { defineDetector, type Detector, type DetectorSettings } from '../../src/detect/detector.ts'
import { explain } from '../../src/detect/explain.ts'
import type { DetectorName } from '../../src/detect/finding.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { dormantKey } from '../../src/detect/detectors/dormant-key.ts'
import fc from '../harness/fast-check.ts'
import { anyHours, anyUsage, profileOf } from './arbitraries.ts'
import { learnt, NOON_MS, usage } from './history.ts'

const nowMs = NOON_MS + 30 * 60_000
const steady = learnt({ days: 14, hour: () => [{ requests: 9 }] })

function settingsOf(changes: Record<string, object> = {}): ReadonlyMap<DetectorName, DetectorSettings> {
  return new Map(
    DETECTORS.map(({ name, settings }) => [
      name,
      settings.parse(changes[name] ?? {}) as unknown as DetectorSettings,
    ]),
  )
}

function explained(name: DetectorName, changes: Record<string, object> = {}, judged = {}) {
  const all = explain(
    { usage: usage([{}], nowMs), profile: steady, nowMs, ...judged },
    DETECTORS,
    settingsOf(changes),
  )
  return all.find(({ detector }) => detector === name)
}

describe('explaining a key', () => {
  test('covers every detector, in the order of the registry', () => {
    const all = explain({ usage: usage([{}], nowMs), profile: steady, nowMs }, DETECTORS, settingsOf())
    expect(all.map(({ detector }) => detector)).toEqual(DETECTORS.map(({ name }) => name))
    for (const { because } of all) expect(because).not.toMatch(/undefined|NaN|\[object/)
  })

  test('a detector that fired is explained by its finding', () => {
    const over = usage([{ costNanoUsd: 20e9 }], nowMs)
    const changes = { spend_threshold: { limits: [{ window: '1d', usd: 10 }] } }
    expect(explained('spend_threshold', changes, { usage: over })).toMatchObject({
      verdict: 'fired',
      because: 'key-7 spent $20.21 within 1 day; the limit is $10.00',
      findings: [{ scope: '1d:10' }],
      checks: [
        { kind: 'applies', holds: true },
        { kind: 'unusual', holds: true, needed: 'more than 10' },
      ],
    })
  })

  test('one that did not says what was observed, what was needed, and which setting decided', () => {
    expect(explained('dormant_key')).toMatchObject({
      verdict: 'usual',
      because:
        'days of silence that ended within the last two hours: 0; needed: at least 7d (detectors.dormant_key.silent_for: 7d)',
      findings: [],
    })
    expect(explained('error_rate')).toMatchObject({
      verdict: 'below_floor',
      because:
        'refused calls within 10 minutes: 0; needed: at least 20 (detectors.error_rate.min_refused: 20)',
    })
  })

  test('one that still learns says how much is missing', () => {
    expect(explained('model_probe', { model_probe: { min_history: '30d' } })).toMatchObject({
      verdict: 'learning',
      because:
        'days the key has been known: 14; needed: at least 30d (detectors.model_probe.min_history: 30d)',
    })
  })

  test('one that has nothing to judge by, or is off, says so', () => {
    expect(explained('ip_allowlist')).toMatchObject({ verdict: 'not_applicable' })
    expect(explained('spend_threshold')).toMatchObject({ verdict: 'not_applicable' })
    expect(explained('key_age')).toMatchObject({
      verdict: 'off',
      because: 'switched off: detectors.key_age.enabled: false',
    })
  })

  test('one that throws is told, and the others are still explained', () => {
    const broken: Detector = defineDetector({
      name: 'volume_spike',
      description: 'Breaks.',
      settings: dormantKey.settings,
      detect: () => {
        throw new Error('no such bucket')
      },
    })
    const settings = new Map([
      ...settingsOf(),
      ['volume_spike', dormantKey.settings.parse({}) as never] as const,
    ])
    const all = explain({ usage: usage([{}], nowMs), profile: steady, nowMs }, [broken, dormantKey], settings)
    expect(all).toMatchObject([
      { verdict: 'failed', because: 'failed: Error: no such bucket' },
      { verdict: 'usual' },
    ])
  })

  test('says fired exactly when the detector finds something, and finds the same with and without notes', () => {
    const settings = settingsOf({
      spend_threshold: { limits: [{ window: '1d', usd: 1, thresholds: [{ percent: 10 }] }] },
      ip_allowlist: { ranges: ['10.1.0.0/16'] },
      key_age: { enabled: true },
    })
    fc.assert(
      fc.property(anyHours, anyUsage, (hours, recent) => {
        const judged = { ...recent, profile: profileOf(hours) }
        const all = explain(judged, DETECTORS, settings)
        for (const [index, detector] of DETECTORS.entries()) {
          const one = all[index]
          const chosen = settings.get(detector.name) as DetectorSettings
          const calibration = calibrationOf(detector.name, chosen, judged.profile)
          const findings = detector
            .detect({ ...judged, settings: chosen })
            .map((finding) => withinBudget(finding, calibration))
          expect(one?.findings).toEqual(findings)
          expect(one?.verdict === 'fired').toBe(findings.length > 0)
          expect(JSON.parse(JSON.stringify(one))).toEqual(one)
        }
      }),
      { numRuns: 60 },
    )
  })
})
