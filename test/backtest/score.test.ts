import { describe, expect, test } from 'vitest'
import type { Incident, Labels } from '../../src/backtest/labels.ts'
import type { KeySpan } from '../../src/backtest/run-backtest.ts'
import { scoreAlerts, verdictOf, type LevelScore } from '../../src/backtest/score.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { alertAt } from './alerts.ts'
import { START_MS } from './fleet.ts'

const incident = (fromHour: number, toHour: number, more: Partial<Incident> = {}): Incident => ({
  keyId: 'key-1',
  kind: 'foreign_use',
  startMs: START_MS + fromHour * HOUR_MS,
  endMs: START_MS + toHour * HOUR_MS,
  hard: false,
  costUsd: undefined,
  curve: [],
  ...more,
})
const labels = (incidents: Incident[], benign: Labels['benign'] = []): Labels => ({ incidents, benign })
const tenDays: KeySpan = { firstMs: START_MS, lastMs: START_MS + 10 * DAY_MS }
const spans = new Map([
  ['key-1', tenDays],
  ['key-2', tenDays],
])
const warningOf = (levels: readonly LevelScore[]): LevelScore | undefined =>
  levels.find(({ severity }) => severity === 'warning')

describe('what labels say of an alert', () => {
  const known = labels(
    [incident(100, 102)],
    [
      {
        keyId: 'key-1',
        kind: 'retry_storm',
        startMs: START_MS + 10 * HOUR_MS,
        endMs: START_MS + 12 * HOUR_MS,
        allow: ['error_rate'],
      },
    ],
  )

  test.each([
    ['before the incident', 99.9, 'false'],
    ['at its first request', 100, 'right'],
    ['within an hour after its last', 102.9, 'right'],
    ['later, within a day', 103.1, 'neutral'],
    ['more than a day after it', 126.1, 'false'],
  ])('%s', (_, hour, verdict) => {
    expect(verdictOf(alertAt(hour), known).kind).toBe(verdict)
  })

  test('an alert in a benign window is false and named after it, unless the window allows its detector', () => {
    expect(verdictOf(alertAt(11), known)).toEqual({ kind: 'false', benign: 'retry_storm' })
    expect(verdictOf(alertAt(11, { detector: 'error_rate' }), known).kind).toBe('neutral')
  })

  test("another key's incident is no excuse", () => {
    expect(verdictOf(alertAt(101, { key_id: 'key-2' }), known).kind).toBe('false')
  })
})

describe('the score of a backtest', () => {
  test('counts what is found, how soon, and what was still to be spent, by kind of incident', () => {
    const curve: Incident['curve'] = [
      [0, 1, 1],
      [1_800, 10, 4],
      [7_200, 40, 20],
    ]
    const known = labels([
      incident(100, 102, { costUsd: 20, curve }),
      incident(150, 151, { costUsd: 5 }),
      incident(120, 121, { keyId: 'key-2', kind: 'slow_drip', hard: true }),
    ])
    const score = warningOf(scoreAlerts({ alerts: [alertAt(100.5), alertAt(101)], labels: known, spans }))
    expect(score).toMatchObject({
      incidents: 3,
      detected: 1,
      recall: 0.25,
      precision: 1,
      false_alerts: 0,
      minutes_to_detect: { median: 30, p90: 30 },
      kinds: [
        { kind: 'foreign_use', incidents: 2, detected: 1, minutes_to_detect_median: 30 },
        { kind: 'slow_drip', incidents: 1, detected: 0, minutes_to_detect_median: undefined },
      ],
    })
    expect(score?.spend_prevented).toBeCloseTo(1 - (4 + 5) / 25)
  })

  test('counts false alerts once in six hours per key and detector, per day that a key was not abused', () => {
    const alerts = [alertAt(10), alertAt(15.9), alertAt(16.1), alertAt(10, { detector: 'volume_spike' })]
    const score = warningOf(scoreAlerts({ alerts, labels: labels([incident(100, 102)]), spans }))
    // Twenty days, less the incident of two hours and the day after it.
    expect(score?.key_days).toBeCloseTo(20 - 26 / 24)
    expect(score).toMatchObject({ false_alerts: 3, precision: 0 })
    expect(score?.false_per_100_key_days).toBeCloseTo(300 / (20 - 26 / 24))
  })

  test('climbs the ladder of severities', () => {
    const alerts = [alertAt(10, { severity: 'info' }), alertAt(30), alertAt(50, { severity: 'critical' })]
    const levels = scoreAlerts({ alerts, labels: labels([]), spans })
    expect(levels.map(({ severity, false_alerts: count }) => [severity, count])).toEqual([
      ['info', 3],
      ['warning', 2],
      ['critical', 1],
    ])
  })

  test('tells how many windows of benign change were alerted', () => {
    const window = (fromHour: number) => ({
      keyId: 'key-1',
      kind: 'region_move',
      startMs: START_MS + fromHour * HOUR_MS,
      endMs: START_MS + (fromHour + 5) * HOUR_MS,
      allow: [],
    })
    const known = labels([], [window(10), window(50)])
    const score = warningOf(scoreAlerts({ alerts: [alertAt(12)], labels: known, spans }))
    expect(score?.benign).toEqual([{ kind: 'region_move', windows: 2, alerted: 1 }])
  })

  test('has no rate that is not a number when there is nothing to rate', () => {
    const [score] = scoreAlerts({ alerts: [], labels: labels([]), spans: new Map() })
    expect(score).toMatchObject({
      recall: undefined,
      precision: undefined,
      false_per_100_key_days: 0,
      spend_prevented: undefined,
    })
  })

  test('leaves incidents of keys without usage out: nobody could have seen them', () => {
    const known = labels([incident(100, 102, { keyId: 'key-9' })])
    expect(warningOf(scoreAlerts({ alerts: [], labels: known, spans }))?.incidents).toBe(0)
  })
})
