import { describe, expect, test } from 'vitest'
import { daysOf, runBacktest, type BacktestRun } from '../../src/backtest/run-backtest.ts'
import type { BacktestAlert } from '../../src/backtest/backtest.ts'
import type { Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/load.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent, UsageEvent } from '../../src/usage/event.ts'
import { fleetEvents, START_MS } from './fleet.ts'

const THEFT_MS = START_MS + 10 * DAY_MS + 2 * HOUR_MS + 7 * MINUTE_MS
const config = (yaml = '') => parseConfig(`version: 1\n${yaml}`, 'alerts.yaml', {})

async function backtest(
  events: readonly UsageEvent[],
  { config: chosen = config(), ...options }: Partial<BacktestRun> & { readonly config?: Config } = {},
) {
  async function* batches() {
    for (let at = 0; at < events.length; at += 100) yield events.slice(at, at + 100)
  }
  const alerts: BacktestAlert[] = []
  const summary = await runBacktest({
    sides: [
      {
        config: chosen,
        onAlert: (alert) => alerts.push(alert),
        onDetectorError: ({ error }) => {
          throw error
        },
      },
    ],
    events: batches(),
    // The fleet's events have their places already.
    enrich: (event) => event as EnrichedEvent,
    ...options,
  })
  return { summary, alerts }
}

const told = (alerts: readonly BacktestAlert[]) =>
  alerts.map(({ detector, key_id: key, at }) => `${at} ${key} ${detector}`)

describe('a backtest', () => {
  test('raises the alerts of a theft at the ticks at which the daemon would, and no others', async () => {
    const { summary, alerts } = await backtest(fleetEvents())
    expect(alerts.every(({ key_id: key, at }) => key === 'app-1' && Date.parse(at) >= THEFT_MS)).toBe(true)
    const first = (name: string) => alerts.find(({ detector }) => detector === name)
    expect(first('unfamiliar_model')?.at).toBe('2026-03-12T02:07:00.000Z')
    expect(first('volume_spike')?.at).toMatch(/^2026-03-12T02:0[789]:\d0\.000Z$/)
    expect(first('unusual_geo')).toMatchObject({
      at: '2026-03-12T02:07:00.000Z',
      summary: 'app-1 was used from RO for the first time (10 days of history: US)',
      evidence: { metric: 'country', observed: { RO: 1 } },
    })
    expect(summary).toMatchObject({ events: 246 * 12 + 400, duplicates: 0, late: 0 })
    const days = [...summary.spans.values()].map(daysOf)
    expect(days).toEqual([expect.closeTo(10.2, 0), expect.closeTo(10.2, 0)])
  })

  test('is causal: what it says up to a time does not depend on what comes after', async () => {
    const events = fleetEvents()
    const { alerts } = await backtest(events)
    for (const cutMs of [THEFT_MS, THEFT_MS + 5_000, THEFT_MS + 3 * MINUTE_MS, THEFT_MS + 30 * MINUTE_MS]) {
      const prefix = await backtest(events.filter(({ timestampMs }) => timestampMs < cutMs))
      const before = (all: readonly BacktestAlert[]) =>
        all.filter(({ at }) => Date.parse(at) < cutMs - 10_000)
      expect(before(prefix.alerts)).toEqual(before(alerts))
    }
  })

  test('counts an event once however often it comes, and says how many came again or too late to be taught', async () => {
    const events = fleetEvents()
    const again = events.flatMap((event, index) => (index % 20 === 0 ? [event, event] : [event]))
    const late = { ...events[5], id: 'late' } as EnrichedEvent
    const { summary, alerts } = await backtest([...again.slice(0, 2_000), late, ...again.slice(2_000)])
    expect(summary).toMatchObject({
      events: again.length + 1,
      duplicates: again.length - events.length,
      late: 1,
    })
    expect(told(alerts)).toEqual(told((await backtest(events)).alerts))
  })

  test('learns from all that is before --from, shows alerts from it on, and reads nothing from --to on', async () => {
    const events = fleetEvents()
    const after = await backtest(events, { fromMs: THEFT_MS + MINUTE_MS })
    expect(after.alerts.every(({ at }) => Date.parse(at) >= THEFT_MS + MINUTE_MS)).toBe(true)
    const before = await backtest(events, { toMs: THEFT_MS })
    expect(before.alerts).toEqual([])
    expect(before.summary.lastEventMs).toBeLessThan(THEFT_MS)
  })

  test('follows the configuration: detectors, overrides and severities', async () => {
    const yaml = `
detectors: { unusual_geo: { severity: info }, volume_spike: { enabled: false }, impossible_travel: { enabled: false } }
overrides:
  - match: { key_id: "app-*" }
    detectors: { unfamiliar_model: { enabled: false } }
`
    const { alerts } = await backtest(fleetEvents(), { config: config(yaml) })
    expect(alerts.map(({ detector, severity }) => [detector, severity])).toEqual([['unusual_geo', 'info']])
  })

  test('an alert that becomes worse is told once more, with its new severity', async () => {
    const yaml =
      'detectors: { spend_threshold: { limits: [{ window: 1h, usd: 1 }, { window: 1d, usd: 1, severity: warning }] } }'
    const { alerts } = await backtest(fleetEvents(), { config: config(yaml) })
    const spend = alerts.filter(({ detector }) => detector === 'spend_threshold')
    expect(spend.map(({ severity }) => severity).toSorted()).toEqual(['critical', 'warning'])
  })

  test('resolves what has been quiet, so that the same thing a day later is a new alert', async () => {
    const yaml = 'detectors: { spend_threshold: { limits: [{ window: 5m, usd: 2 }] } }'
    const events = fleetEvents()
    const again = events
      .filter(({ timestampMs }) => timestampMs >= THEFT_MS)
      .map((event) => ({ ...event, id: `${event.id}-again`, timestampMs: event.timestampMs + DAY_MS }))
    const { alerts } = await backtest([...events, ...again], { config: config(yaml) })
    const spend = alerts.filter(({ detector }) => detector === 'spend_threshold')
    expect(spend.map(({ at }) => at.slice(0, 13))).toEqual(['2026-03-12T02', '2026-03-13T02'])
  })

  test('a limit of the calendar is told once a period, however the key pauses, and anew in the next', async () => {
    const yaml = 'detectors: { spend_threshold: { limits: [{ period: day, usd: 1, timezone: Asia/Tokyo }] } }'
    const [template] = fleetEvents()
    if (template === undefined) throw new Error('the fleet has no events')
    // Midnight in Tokyo is 15:00 UTC; the key pauses for hours, and spends across it.
    const events = ['01:00', '06:00', '11:00', '14:59', '15:01', '20:00'].map((time, index) => ({
      ...template,
      id: `dear-${index}`,
      timestampMs: Date.parse(`2026-03-03T${time}:00Z`),
      costUsd: 1.5,
      costNanoUsd: 1_500_000_000,
    }))
    const { alerts } = await backtest(events, { config: config(yaml) })
    expect(alerts.map(({ at }) => at)).toEqual(['2026-03-03T01:00:00.000Z', '2026-03-03T15:01:00.000Z'])
  })

  test('a rolling limit stays told while the sum stays above it, however the key pauses', async () => {
    const yaml = 'detectors: { spend_threshold: { limits: [{ window: 7d, usd: 4 }] } }'
    const [template] = fleetEvents()
    if (template === undefined) throw new Error('the fleet has no events')
    const events = [3, 4, 5, 6, 7, 8, 9, 10, 18, 19, 20].map((day) => ({
      ...template,
      id: `dear-${day}`,
      timestampMs: Date.parse(`2026-03-${String(day).padStart(2, '0')}T12:00:00Z`),
      costNanoUsd: 1_500_000_000,
    }))
    const { alerts } = await backtest(events, { config: config(yaml) })
    const spend = alerts.filter(({ detector }) => detector === 'spend_threshold')
    expect(spend.map(({ at }) => at.slice(0, 10))).toEqual(['2026-03-05', '2026-03-20'])
  })

  test('tries several configurations on events that are read once, each as if it were alone', async () => {
    const mild = config('detectors: { unusual_geo: { severity: info }, volume_spike: { enabled: false } }')
    const found: [BacktestAlert[], BacktestAlert[]] = [[], []]
    const side = (chosen: Config, alerts: BacktestAlert[]) => ({
      config: chosen,
      onAlert: (alert: BacktestAlert) => alerts.push(alert),
      onDetectorError: ({ error }: { readonly error: unknown }) => {
        throw error
      },
    })
    const events = fleetEvents()
    const read: string[] = []
    await backtest(events, {
      sides: [side(config(), found[0]), side(mild, found[1])],
      onEvent: ({ id }) => read.push(id),
    })
    expect(read).toHaveLength(events.length)
    expect(found[0]).toEqual((await backtest(events)).alerts)
    expect(found[1]).toEqual((await backtest(events, { config: mild })).alerts)
  })

  test('of nothing is nothing', async () => {
    const { summary, alerts } = await backtest([])
    expect(alerts).toEqual([])
    expect(summary).toMatchObject({ events: 0, spans: new Map(), firstEventMs: undefined })
  })
})
