import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spendThreshold } from '../../src/detect/detectors/spend-threshold.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { spentWithin } from '../../src/detect/spending.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { NANO_USD_PER_USD } from '../../src/usage/event.ts'
import { find, learnt, NOON_MS, usage } from './history.ts'

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
