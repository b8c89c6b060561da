import type { BacktestAlert } from '../../src/backtest/backtest.ts'
import { START_MS } from './fleet.ts'
import { HOUR_MS } from '../../src/usage/duration.ts'

const EVIDENCE = {
  metric: 'country',
  observed: {},
  expected: {},
  window: { start: '', end: '' },
  history: { days: 1, events: 1 },
  setting: '',
}

/** An alert `hours` after the start of the fleet's history. */
export function alertAt(hours: number, alert: Partial<BacktestAlert> = {}): BacktestAlert {
  return {
    detector: 'unusual_geo',
    key_id: 'key-1',
    at: new Date(START_MS + hours * HOUR_MS).toISOString(),
    severity: 'warning',
    summary: 'key-1 was used from RO for the first time',
    evidence: EVIDENCE,
    ...alert,
  }
}
