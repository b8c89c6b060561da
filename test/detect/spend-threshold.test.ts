import { describe, expect, test } from 'vitest'
import { spendThreshold } from '../../src/detect/detectors/spend-threshold.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { spentSince, spentWithin } from '../../src/detect/spending.ts'
import { periodAt, type Period } from '../../src/usage/calendar.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { NANO_USD_PER_USD } from '../../src/usage/event.ts'
import { bucketStart } from '../../src/usage/rollup.ts'
import fc from '../harness/fast-check.ts'
import { find, hourOf, learnt, NOON_MS, usage } from './history.ts'

const usd = (amount: number) => amount * NANO_USD_PER_USD
const nowMs = NOON_MS + 30 * 60_000
const fresh = emptyProfile({ keyId: 'key-7', firstSeenMs: NOON_MS, timeZone: 'UTC' })
const daily = (amount: number) => ({ limits: [{ window: '1d', usd: amount }] })

describe('spend_threshold', () => {
  test('fires without any learning when more than the limit is spent', () => {
    const spent = usage([{ requests: 40, costNanoUsd: usd(10.01) }], nowMs)
    const [finding] = find(spendThreshold, { usage: spent, profile: fresh, nowMs }, daily(10))
    expect(finding).toMatchObject({
      scope: '1d:10',
      severity: 'critical',
      summary: 'key-7 spent $10.01 within 1 day; the limit is $10.00',
      evidence: {
        metric: 'cost_usd',
        observed: 10.01,
        expected: { at_most: 10 },
        unpriced_requests: 0,
        requests: 40,
      },
    })
  })

  test('exactly the limit is allowed, and without limits nothing is', () => {
    const spent = usage([{ requests: 40, costNanoUsd: usd(10) }], nowMs)
    expect(find(spendThreshold, { usage: spent, profile: fresh, nowMs }, daily(10))).toEqual([])
    expect(find(spendThreshold, { usage: spent, profile: fresh, nowMs })).toEqual([])
  })

  test('adds closed hours from the profile and the open hour, each once', () => {
    const profile = learnt({ days: 10, hour: () => [{ requests: 1, costNanoUsd: usd(1) }] })
    // The hour before is learnt already, and still in the recent usage.
    const recent = usage(
      [
        { ago: 45, costNanoUsd: usd(1) },
        { ago: 3, costNanoUsd: usd(0.5) },
      ],
      nowMs,
    )
    expect(spentWithin({ profile, usage: recent, nowMs }, DAY_MS)).toMatchObject({
      costNanoUsd: usd(23.5),
      fromMs: NOON_MS - 23 * HOUR_MS,
    })
  })

  test('beyond two days the sum is of whole days, and never of more than the window', () => {
    const profile = learnt({ days: 40, hour: () => [{ requests: 1, costNanoUsd: usd(1) }] })
    const spent = spentWithin({ profile, usage: usage([], nowMs), nowMs }, 7 * DAY_MS)
    expect(spent.fromMs).toBe(Date.parse('2026-02-26T00:00:00Z'))
    expect(spent.costNanoUsd).toBe(usd(6 * 24 + 12))
  })

  test('several limits have their own alerts, severities and scopes; one written twice is one', () => {
    const spent = usage([{ costNanoUsd: usd(60) }], nowMs)
    const limits = [
      { window: '1h', usd: 5, severity: 'warning' },
      { window: '1d', usd: 50 },
      { window: '24h', usd: 50 },
      { window: '31d', usd: 500 },
    ]
    const findings = find(spendThreshold, { usage: spent, profile: fresh, nowMs }, { limits })
    expect(findings.map(({ scope, severity }) => [scope, severity])).toEqual([
      ['1h:5', 'warning'],
      ['1d:50', 'critical'],
    ])
  })

  test('says how many requests have no known price: unknown is not nothing', () => {
    const spent = usage([{ costNanoUsd: usd(11) }, { requests: 7, costNanoUsd: 0, unpriced: 7 }], nowMs)
    const [finding] = find(spendThreshold, { usage: spent, profile: fresh, nowMs }, daily(10))
    expect(finding?.summary).toBe(
      'key-7 spent $11.00 within 1 day; the limit is $10.00, not counting 7 requests whose price is unknown',
    )
    expect(finding?.evidence['unpriced_requests']).toBe(7)
  })

  test('falls silent when the window has moved on, so that the next crossing alerts again', () => {
    const profile = learnt({
      days: 2,
      hour: (hourMs) => (hourMs === NOON_MS - 2 * DAY_MS ? [{ costNanoUsd: usd(99) }] : []),
    })
    expect(find(spendThreshold, { usage: usage([{}], nowMs), profile, nowMs }, daily(10))).toEqual([])
    expect(
      find(spendThreshold, { usage: usage([{ costNanoUsd: usd(10.5) }], nowMs), profile, nowMs }, daily(10)),
    ).toHaveLength(1)
  })

  test('is never above what was really spent in the window, and short by one span at the most', () => {
    const profile = learnt({ days: 35, hour: () => [{ requests: 1, costNanoUsd: 1 }] })
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 31 * 24 }), fc.nat({ max: HOUR_MS - 1 }), (hours, afterMs) => {
        const atMs = NOON_MS + afterMs
        const { costNanoUsd, fromMs } = spentWithin(
          { profile, usage: usage([], atMs), nowMs: atMs },
          hours * HOUR_MS,
        )
        const real = Math.floor((NOON_MS - (atMs - hours * HOUR_MS)) / HOUR_MS)
        expect(costNanoUsd).toBeLessThanOrEqual(real)
        expect(costNanoUsd).toBeGreaterThanOrEqual(hours <= 48 ? real - 1 : real - 24)
        expect(fromMs).toBeGreaterThanOrEqual(atMs - hours * HOUR_MS)
      }),
    )
  })
})

describe('spend_threshold by the calendar', () => {
  const monthly = (more: object = {}) => ({ limits: [{ period: 'month', usd: 100, ...more }] })
  const hourly = (dollars: number) =>
    learnt({ days: 40, hour: () => [{ requests: 1, costNanoUsd: usd(dollars) }] })

  test('sums from the start of the month, and stands until its end', () => {
    const [finding] = find(
      spendThreshold,
      { usage: usage([{ costNanoUsd: usd(20) }], nowMs), profile: hourly(1), nowMs },
      monthly(),
    )
    // 84 hours since 1 March, UTC, and 20 dollars now.
    expect(finding).toMatchObject({
      scope: 'month:100:2026-03-01',
      summary: 'key-7 spent $104.00 in the month that began on 2026-03-01; the limit is $100.00',
      evidence: {
        observed: 104,
        percentage_used: 104,
        ends_at: '2026-04-01T00:00:00.000Z',
        window: { start: '2026-03-01T00:00:00.000Z' },
        setting: 'detectors.spend_threshold.limits: { period: month, usd: 100 }',
      },
    })
  })

  test.each([
    ['UTC', '2026-03-01T00:00:00.000Z', 84],
    ['Europe/Berlin', '2026-02-28T23:00:00.000Z', 85],
    ['America/Los_Angeles', '2026-03-01T08:00:00.000Z', 76],
    ['Pacific/Kiritimati', '2026-02-28T10:00:00.000Z', 98],
    ['Asia/Kolkata', '2026-02-28T19:00:00.000Z', 89],
  ])('in %s the month begins at %s', (timezone, start, dollars) => {
    const [finding] = find(
      spendThreshold,
      { usage: usage([{ costNanoUsd: 0 }], nowMs), profile: hourly(1), nowMs },
      { limits: [{ period: 'month', usd: 1, timezone }] },
    )
    expect(finding?.evidence).toMatchObject({ observed: dollars, window: { start } })
  })

  test('a new period starts at nothing, with a scope of its own, so that it alerts anew', () => {
    const at = (instant: string) => {
      const atMs = Date.parse(instant)
      const profile = learnt({
        untilMs: bucketStart(atMs, HOUR_MS),
        days: 3,
        hour: () => [{ requests: 1, costNanoUsd: usd(1) }],
      })
      const limits = [{ period: 'day', usd: 20 }]
      return find(
        spendThreshold,
        { usage: usage([{ costNanoUsd: 0 }], atMs), profile, nowMs: atMs },
        { limits },
      )
    }
    expect(at('2026-03-04T23:30:00Z').map(({ scope }) => scope)).toEqual(['day:20:2026-03-04'])
    expect(at('2026-03-05T00:30:00Z')).toEqual([])
    expect(at('2026-03-05T21:30:00Z').map(({ scope }) => scope)).toEqual(['day:20:2026-03-05'])
  })

  test('weeks begin on Monday', () => {
    const [finding] = find(
      spendThreshold,
      { usage: usage([{ costNanoUsd: 0 }], nowMs), profile: hourly(1), nowMs },
      { limits: [{ period: 'week', usd: 59 }] },
    )
    expect(finding?.evidence).toMatchObject({ observed: 60, window: { start: '2026-03-02T00:00:00.000Z' } })
  })

  test('thresholds have their own alerts and severities, besides that of the limit', () => {
    const thresholds = [
      { percent: 50, severity: 'info' },
      { percent: 80, severity: 'warning' },
      { percent: 150 },
    ]
    const at = (dollars: number) =>
      find(
        spendThreshold,
        { usage: usage([{ costNanoUsd: usd(dollars) }], nowMs), profile: fresh, nowMs },
        { limits: [{ window: '1d', usd: 10, thresholds }] },
      ).map(({ scope, severity }) => [scope, severity])
    expect(at(5)).toEqual([])
    expect(at(8.5)).toEqual([
      ['1d:10:50%', 'info'],
      ['1d:10:80%', 'warning'],
    ])
    expect(at(16)).toEqual([
      ['1d:10', 'critical'],
      ['1d:10:50%', 'info'],
      ['1d:10:80%', 'warning'],
      ['1d:10:150%', 'critical'],
    ])
  })

  test('warns before the limit when the pace will exceed it, and stops warning when it is exceeded', () => {
    const limits = monthly({ usd: 500, projected: 'warning' })
    const [finding, ...more] = find(
      spendThreshold,
      { usage: usage([{ costNanoUsd: 0 }], nowMs), profile: hourly(1), nowMs },
      limits,
    )
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      scope: 'month:500:2026-03-01:projected',
      severity: 'warning',
      evidence: { metric: 'projected_cost_usd', spent_usd: 84, expected: { at_most: 500 } },
    })
    // $84 in 84.5 hours and $23 within the last 23 whole hours of a day: 659.5 hours more at 23 dollars a day.
    expect(finding?.evidence.observed).toBeCloseTo(84 + (659.5 * 23) / 24, 0)
    expect(finding?.summary).toContain('by the end of the month at its present pace ($84.00 so far)')
    const over = find(
      spendThreshold,
      { usage: usage([{ costNanoUsd: usd(500) }], nowMs), profile: hourly(1), nowMs },
      limits,
    )
    expect(over.map(({ scope }) => scope)).toEqual(['month:500:2026-03-01'])
  })

  test('one dear day is no pace, nor is the first tenth of a period', () => {
    const dear = learnt({
      days: 40,
      hour: (hourMs) => [{ requests: 1, costNanoUsd: usd(hourMs > NOON_MS - DAY_MS ? 1 : 0.1) }],
    })
    const judged = { usage: usage([{ costNanoUsd: 0 }], nowMs), profile: dear, nowMs }
    expect(find(spendThreshold, judged, monthly({ usd: 500, projected: 'warning' }))).toEqual([])
    const early = Date.parse('2026-03-02T12:30:00Z')
    const profile = learnt({
      untilMs: bucketStart(early, HOUR_MS),
      days: 40,
      hour: () => [{ costNanoUsd: usd(9) }],
    })
    expect(
      find(
        spendThreshold,
        { usage: usage([{ costNanoUsd: 0 }], early), profile, nowMs: early },
        monthly({ usd: 5000, projected: 'warning' }),
      ),
    ).toEqual([])
  })

  test('a rolling sum says until when it will stay above the limit if nothing more is spent', () => {
    const profile = learnt({
      days: 2,
      hour: (hourMs) => (hourOf(hourMs) === 9 ? [{ costNanoUsd: usd(6) }] : []),
    })
    const spent = usage([{ costNanoUsd: usd(5) }], nowMs)
    const [finding] = find(spendThreshold, { usage: spent, profile, nowMs }, daily(10))
    // The six dollars of nine o'clock leave the window of a day first.
    expect(finding?.evidence.holds_until).toBe('2026-03-05T09:00:00.000Z')
  })

  test('the sum since any start of a month or week, in any zone, is exact to the hour', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 90 * 24 }),
        fc.constantFrom('month', 'week', 'day'),
        fc.constantFrom('UTC', 'America/New_York', 'Asia/Tokyo', 'Etc/GMT+12', 'Pacific/Kiritimati'),
        (hours, period, zone) => {
          const atMs = NOON_MS + hours * HOUR_MS
          const profile = learnt({ untilMs: atMs, days: 45, hour: () => [{ requests: 1, costNanoUsd: 1 }] })
          const { startMs } = periodAt(atMs, period as Period, zone)
          const spent = spentSince({ profile, usage: usage([], atMs), nowMs: atMs }, startMs)
          expect(spent.costNanoUsd).toBe((atMs - startMs) / HOUR_MS)
        },
      ),
      { numRuns: 40 },
    )
  })
})
