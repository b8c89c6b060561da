import { describe, expect, test } from 'vitest'
import { emptyProfile, type KnownValue, type Profile } from '../../src/detect/profile.ts'
import { isTaught, teachingOf, withTaught, type Taught } from '../../src/detect/taught.ts'
import type { DetectorName, Evidence, JsonValue } from '../../src/detect/finding.ts'
import { finding } from '../store/decisions.ts'

const told = (
  detector: DetectorName,
  observed: JsonValue,
  more: { scope?: string; evidence?: Partial<Evidence> } = {},
) => {
  const base = finding({ detector, scope: more.scope ?? '' })
  return { ...base, evidence: { ...base.evidence, observed, ...more.evidence } as Evidence }
}
const spike = (requests: number, tokens: number) =>
  told('volume_spike', requests, {
    evidence: {
      metric: 'requests',
      fired: [
        { metric: 'requests', observed: requests, window: '5m' },
        { metric: 'tokens', observed: tokens, window: '1h' },
      ],
    },
  })

describe('a finding that a person calls safe teaches', () => {
  test('its countries and models', () => {
    expect(teachingOf(told('unusual_geo', { RO: 12, DE: 3 }))).toEqual([
      { kind: 'country', value: 'RO' },
      { kind: 'country', value: 'DE' },
    ])
    expect(teachingOf(told('unfamiliar_model', { 'gpt-5': 2 }))).toEqual([{ kind: 'model', value: 'gpt-5' }])
    expect(teachingOf(told('model_probe', { a: { calls: 1 }, b: { calls: 2 } }))).toEqual([
      { kind: 'model', value: 'a' },
      { kind: 'model', value: 'b' },
    ])
  })

  test('its hour of the week, and the level of every metric and window that fired', () => {
    expect(teachingOf(told('unusual_hour', { hour: 'Mon 03:00', requests: 9 }))).toEqual([
      { kind: 'hour', value: 'Mon 03:00' },
    ])
    expect(teachingOf(spike(300, 9_000))).toEqual([
      { kind: 'volume', value: 'requests 5m', level: 300 },
      { kind: 'volume', value: 'tokens 1h', level: 9_000 },
    ])
    const size = told('volume_spike', 800, {
      scope: 'request_size',
      evidence: { metric: 'tokens_per_request' },
    })
    expect(teachingOf(size)).toEqual([{ kind: 'volume', value: 'tokens_per_request', level: 800 }])
  })

  test.each<[DetectorName, JsonValue, string]>([
    ['impossible_travel', 9_000, ''],
    ['spend_threshold', 12, '1d:10'],
    ['volume_spike', 9, 'new_addresses'],
    ['distinct_addresses', 50, ''],
  ])('nothing where there is no value to remember: %s', (detector, observed, scope) => {
    expect(teachingOf(told(detector, observed, { scope }))).toEqual([])
  })
})

describe('what was taught', () => {
  const taught: readonly Taught[] = [
    { kind: 'country', value: 'RO' },
    { kind: 'model', value: 'gpt-5' },
    { kind: 'hour', value: 'Mon 03:00' },
    { kind: 'volume', value: 'requests 5m', level: 300 },
    { kind: 'volume', value: 'tokens 1h', level: 9_000 },
  ]
  const known = (value: string, settled: boolean): KnownValue => ({
    value,
    firstSeenMs: 7,
    lastSeenMs: 8,
    requests: 9,
    settled,
  })
  const profile: Profile = {
    ...emptyProfile({ keyId: 'key-1', firstSeenMs: 0, timeZone: 'UTC' }),
    countries: [known('US', true), known('RO', false)],
  }

  test('is known of countries and models, and changes nothing else', () => {
    const judged = withTaught(profile, taught)
    expect(judged.countries).toEqual([known('US', true), known('RO', true)])
    expect(judged.models).toMatchObject([{ value: 'gpt-5', settled: true }])
    expect({ ...judged, countries: [], models: [] }).toEqual({ ...profile, countries: [], models: [] })
    expect(withTaught(profile, [])).toBe(profile)
  })

  test('covers the same hour, and the same volumes up to a quarter more', () => {
    expect(isTaught(told('unusual_hour', { hour: 'Mon 03:00', requests: 9 }), taught)).toBe(true)
    expect(isTaught(told('unusual_hour', { hour: 'Mon 04:00', requests: 9 }), taught)).toBe(false)
    expect(isTaught(spike(370, 11_000), taught)).toBe(true)
    expect(isTaught(spike(380, 9_000), taught)).toBe(false)
    expect(isTaught(spike(100, 12_000), taught)).toBe(false)
    expect(isTaught(spike(100, 100), [])).toBe(false)
  })

  test('covers no other kind of finding', () => {
    expect(isTaught(told('spend_threshold', 1), taught)).toBe(false)
    expect(isTaught(told('unusual_geo', { RO: 1 }), taught)).toBe(false)
  })
})
