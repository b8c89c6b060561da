import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DETECTOR_NAMES } from '../../src/detect/finding.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { WEEK_MS } from '../../src/usage/duration.ts'
import type { SourceUsage } from '../../src/usage/source.ts'
import { anyHours, anyUsage, profileOf } from './arbitraries.ts'
import { find, NOON_MS } from './history.ts'

/** Nothing left to learn and every floor at its lowest: settings under which detectors speak most. */
const EAGER: Record<string, Record<string, unknown>> = {
  volume_spike: {
    min_history: '0s',
    min_events: 0,
    min_requests: 1,
    sensitivity: 'high',
    windows: ['1m', '5m', '1h'],
  },
  unusual_geo: { min_history: '0s', min_events: 0, max_new_per_day: 99 },
  unusual_hour: { min_history: '0s', min_events: 0, min_requests: 1, tail: 0.5 },
  unfamiliar_model: { min_history: '0s', min_events: 0, max_new_per_day: 99 },
  spend_threshold: {
    limits: [
      { window: '5m', usd: 0.001 },
      { window: '1d', usd: 1 },
      { window: '31d', usd: 5 },
      { period: 'day', timezone: 'Asia/Kolkata', usd: 2, projected: 'info', thresholds: [{ percent: 50 }] },
      { period: 'week', usd: 9, projected: 'warning' },
    ],
  },
  model_probe: { min_history: '0s', min_events: 0, max_new_per_day: 99, window: '1h' },
  dormant_key: { silent_for: '1d' },
  error_rate: { min_history: '0s', min_events: 0, min_refused: 1, min_share: 0.01, window: '1h' },
  ip_allowlist: { ranges: ['10.1.0.0/16', '2001:db8::/64'] },
  distinct_addresses: { min_history: '0s', min_events: 0, min_addresses: 2, times_usual: 1 },
  key_age: { enabled: true, max_age: '1d', remind_every: '1d' },
  unpriced_traffic: { min_share: 0.01, min_requests: 1, remind_every: '1d' },
}

describe.each(DETECTORS.map((detector) => [detector.name, detector] as const))(
  '%s, on any usage and history',
  (name, detector) => {
    const findings = (
      profile: Parameters<typeof find>[1]['profile'],
      { usage, nowMs }: Pick<Parameters<typeof find>[1], 'usage' | 'nowMs'>,
    ) => [{}, EAGER[name] ?? {}].flatMap((settings) => find(detector, { usage, profile, nowMs }, settings))

    test('never throws, and its evidence is plain JSON with finite numbers', () => {
      let found = 0
      fc.assert(
        fc.property(anyHours, anyUsage, (hours, recent) => {
          for (const finding of findings(profileOf(hours), recent)) {
            found += 1
            expect(JSON.parse(JSON.stringify(finding))).toEqual(finding)
            expect(finding.summary).not.toMatch(/NaN|Infinity|undefined|\[object/)
          }
        }),
        { numRuns: 150, seed: 1 },
      )
      expect(found, 'findings that were looked at').toBeGreaterThan(10)
    })

    test('finds one thing per scope at the most', () => {
      fc.assert(
        fc.property(anyHours, anyUsage, (hours, { usage, nowMs }) => {
          const scopes = find(detector, { usage, profile: profileOf(hours), nowMs }, EAGER[name]).map(
            ({ scope }) => scope,
          )
          expect(new Set(scopes).size).toBe(scopes.length)
        }),
        { numRuns: 50 },
      )
    })

    test('the order of equal-time usage changes nothing', () => {
      fc.assert(
        fc.property(anyHours, anyUsage, (hours, { usage, nowMs }) => {
          const reversed = hours.map((hour) => ({ ...hour, rollups: hour.rollups.toReversed() }))
          const rollups = usage.rollups.toReversed().toSorted((a, b) => a.bucketMs - b.bucketMs)
          expect(profileOf(reversed)).toEqual(profileOf(hours))
          expect(findings(profileOf(reversed), { usage: { ...usage, rollups }, nowMs })).toEqual(
            findings(profileOf(hours), { usage, nowMs }),
          )
        }),
        { numRuns: 50 },
      )
    })

    test('shifting all times by whole weeks changes nothing but the times', () => {
      fc.assert(
        fc.property(
          anyHours,
          anyUsage,
          fc.integer({ min: -300, max: 300 }),
          (hours, { usage, nowMs }, weeks) => {
            const byMs = weeks * WEEK_MS
            const move = <T extends { readonly bucketMs: number }>(rollups: readonly T[]) =>
              rollups.map((rollup) => ({ ...rollup, bucketMs: rollup.bucketMs + byMs }))
            const moveSources = (sources: readonly SourceUsage[]) =>
              move(sources).map((source) => ({
                ...source,
                firstMs: source.firstMs + byMs,
                lastMs: source.lastMs + byMs,
              }))
            const moved = hours.map((hour) => ({
              ...hour,
              hourMs: hour.hourMs + byMs,
              rollups: move(hour.rollups),
              sources: moveSources(hour.sources ?? []),
            }))
            const found = findings(profileOf(moved, NOON_MS + byMs), {
              usage: { ...usage, rollups: move(usage.rollups), sources: moveSources(usage.sources) },
              nowMs: nowMs + byMs,
            })
            expect(found.map(withoutTimes)).toEqual(
              findings(profileOf(hours), { usage, nowMs }).map(withoutTimes),
            )
          },
        ),
        { numRuns: 50 },
      )
    })
  },
)

describe('the registry', () => {
  test('holds every detector of the interface once, with a description and default settings', () => {
    expect(DETECTORS.map(({ name }) => name).toSorted()).toEqual([...DETECTOR_NAMES].toSorted())
    for (const { settings, description } of DETECTORS) {
      expect(Object.keys(settings.parse({}))).toEqual(expect.arrayContaining(['enabled', 'severity']))
      expect(description).toMatch(/\.$/)
      expect(settings.safeParse({ no_such_setting: 1 }).success).toBe(false)
    }
  })
})

/** Dates and instants are times wherever they stand. A zone without daylight saving keeps whole weeks alike. */
function withoutTimes(finding: ReturnType<typeof find>[number]): unknown {
  return JSON.parse(
    JSON.stringify(finding).replaceAll(/\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d{3}Z)?/g, 'then'),
  ) as unknown
}
