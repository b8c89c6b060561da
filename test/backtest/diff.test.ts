import { describe, expect, test } from 'vitest'
import { diffAlerts } from '../../src/backtest/diff.ts'
import { diffLines, diffReport, diffTable } from '../../src/backtest/diff-report.ts'
import { backtestReport } from '../../src/backtest/report.ts'
import type { BacktestAlert } from '../../src/backtest/backtest.ts'
import { alertAt } from './alerts.ts'

const summary = {
  events: 1_000,
  duplicates: 0,
  late: 0,
  firstEventMs: undefined,
  lastEventMs: undefined,
  spans: new Map([['key-1', { firstMs: 0, lastMs: 0 }]]),
}
const reportOf = (config: string, alerts: readonly BacktestAlert[]) => ({
  ...backtestReport(summary, { alerts, rejectedLines: 0 }),
  config,
})

describe('the difference of two configurations', () => {
  test('an alert of the same detector and key within an hour is the same alert', () => {
    const a = [alertAt(10), alertAt(20), alertAt(30)]
    const b = [alertAt(10.9), alertAt(20, { key_id: 'key-2' }), alertAt(31.1)]
    const diff = diffAlerts(a, b)
    expect(diff.both).toEqual([{ a: a[0], b: b[0] }])
    expect(diff.only_a).toEqual([a[1], a[2]])
    expect(diff.only_b).toEqual([b[1], b[2]])
  })

  test('each alert is paired once', () => {
    const diff = diffAlerts([alertAt(10)], [alertAt(10), alertAt(10.5)])
    expect([diff.only_a.length, diff.only_b.length, diff.both.length]).toEqual([0, 1, 1])
  })

  test('counts per detector and per key, and tells a changed severity', () => {
    const a = [alertAt(10), alertAt(10, { key_id: 'key-2', detector: 'volume_spike' })]
    const b = [
      alertAt(10, { severity: 'critical' }),
      alertAt(10, { key_id: 'key-2', detector: 'volume_spike' }),
    ]
    const diff = diffAlerts(a, b)
    expect(diff.detectors).toEqual([
      { detector: 'unusual_geo', only_a: 0, only_b: 0, both: 1, severity_changed: 1 },
      { detector: 'volume_spike', only_a: 0, only_b: 0, both: 1, severity_changed: 0 },
    ])
    expect(diff.keys.map(({ key_id: keyId }) => keyId)).toEqual(['key-1'])
  })

  test('is a table that names both files, and lines that tell who raises what, whatever a key is called', () => {
    const evil = alertAt(10, { key_id: 'evil\u001B[31m\nkey', summary: 'evil\u001B[31m\nkey spent $4' })
    const both = diffReport(reportOf('old.yaml', [alertAt(5)]), reportOf('new.yaml', [evil]))
    const table = diffTable(both)
    expect(table).toContain('A is old.yaml: 1 alerts\nB is new.yaml: 1 alerts')
    expect(table).toMatch(/^unusual_geo +1 +1 +0 +0$/m)
    expect(table).not.toContain('\u001B')
    const lines = diffLines(both).trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { in: string }).in)).toEqual(['a', 'b'])
  })
})
