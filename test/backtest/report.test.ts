import { describe, expect, test } from 'vitest'
import type { BacktestAlert } from '../../src/backtest/backtest.ts'
import { backtestReport, reportTable } from '../../src/backtest/report.ts'
import { alertAt } from './alerts.ts'

const alert = (
  keyId: string,
  detector: BacktestAlert['detector'],
  severity: BacktestAlert['severity'],
): BacktestAlert => alertAt(0, { key_id: keyId, detector, severity })
const alerts = [
  alert('key-2', 'unusual_geo', 'warning'),
  alert('key-1', 'volume_spike', 'critical'),
  alert('key-1', 'unusual_geo', 'warning'),
  alert('evil\u001B[31m\nkey', 'unusual_geo', 'info'),
]
const summary = {
  events: 1_234,
  duplicates: 1,
  late: 0,
  firstEventMs: Date.parse('2026-03-02T00:00:00Z'),
  lastEventMs: Date.parse('2026-03-12T00:00:00Z'),
  spans: new Map(
    ['key-1', 'key-2', 'evil\u001B[31m\nkey'].map((keyId, index) => [
      keyId,
      { firstMs: 0, lastMs: (index === 0 ? 100 : 50) * 24 * 3_600_000 },
    ]),
  ),
}

describe('the report of a backtest', () => {
  test('counts alerts per detector and severity, and per 100 key-days', () => {
    expect(backtestReport(summary, { alerts, rejectedLines: 2 })).toMatchObject({
      events: 1_234,
      rejected_lines: 2,
      key_days: 200,
      counts: [
        { detector: 'unusual_geo', severity: 'warning', alerts: 2, per_100_key_days: 1 },
        { detector: 'unusual_geo', severity: 'info', alerts: 1, per_100_key_days: 0.5 },
        { detector: 'volume_spike', severity: 'critical', alerts: 1, per_100_key_days: 0.5 },
      ],
      top_keys: [
        { key_id: 'key-1', alerts: 2, detectors: ['unusual_geo', 'volume_spike'] },
        { alerts: 1 },
        { key_id: 'key-2', alerts: 1 },
      ],
    })
  })

  test('is a table that a terminal can show, whatever an attacker calls his key', () => {
    const table = reportTable(backtestReport(summary, { alerts, rejectedLines: 0 }))
    expect(table).toContain(
      '1,234 events, 2026-03-02T00:00:00.000Z to 2026-03-12T00:00:00.000Z; 3 keys, 200 key-days',
    )
    expect(table).toMatch(/^volume_spike +critical +1 +0\.50$/m)
    expect(table).toMatch(/^all +4 +2\.00$/m)
    expect(table).not.toContain('\u001B')
  })

  test('of a history without keys has no rates that are not numbers', () => {
    const empty = {
      ...summary,
      events: 0,
      spans: new Map(),
      firstEventMs: undefined,
      lastEventMs: undefined,
    }
    expect(reportTable(backtestReport(empty, { alerts: [], rejectedLines: 0 }))).not.toMatch(/NaN|Infinity/)
  })
})
