import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { BacktestAlert } from '../../src/backtest/backtest.ts'
import { html } from '../../src/backtest/html.ts'
import { htmlReport } from '../../src/backtest/html-report.ts'
import { backtestReport } from '../../src/backtest/report.ts'
import { runBacktest } from '../../src/backtest/run-backtest.ts'
import { UsageTrail } from '../../src/backtest/usage-trail.ts'
import { parseConfig } from '../../src/config/load.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import type { EnrichedEvent } from '../../src/usage/event.ts'
import { alertAt } from './alerts.ts'
import { fleetEvents, START_MS } from './fleet.ts'

const THEFT_HOUR_MS = START_MS + 10 * DAY_MS + 2 * HOUR_MS

async function backtest(events: readonly EnrichedEvent[]) {
  const alerts: BacktestAlert[] = []
  const trail = new UsageTrail()
  const summary = await runBacktest({
    sides: [
      {
        config: parseConfig('version: 1', 'alerts.yaml', {}),
        onAlert: (alert, context) => {
          alerts.push(alert)
          trail.mark(alert, context)
        },
        onDetectorError: ({ error }) => {
          throw error
        },
      },
    ],
    events: (async function* () {
      await Promise.resolve()
      yield events
    })(),
    enrich: (event) => event as EnrichedEvent,
    onEvent: (event) => trail.add(event),
  })
  return { alerts, trail, report: backtestReport(summary, { alerts, rejectedLines: 0 }) }
}

describe('the chart of an alert', () => {
  test('shows two days before it and half a day after it by the hour, against what was usual when it was raised', async () => {
    const { alerts, trail } = await backtest(fleetEvents())
    const spike = alerts.find(({ detector }) => detector === 'volume_spike')
    const chart = spike === undefined ? undefined : trail.chartOf(spike)
    expect(chart?.hours).toHaveLength(61)
    const hour = chart?.hours.find(({ hourMs }) => hourMs === THEFT_HOUR_MS)
    // 6 of the key's own and 400 stolen requests, most of them after the alert was raised.
    expect(chart?.metric === 'requests' ? hour?.amount : 406).toBe(406)
    expect(hour?.usual?.high).toBeLessThan(hour?.amount ?? 0)
    const before = chart?.hours.find(({ hourMs }) => hourMs === THEFT_HOUR_MS - 5 * HOUR_MS)
    expect(before?.amount).toBeGreaterThanOrEqual(before?.usual?.low ?? NaN)
    expect(before?.amount).toBeLessThanOrEqual(before?.usual?.high ?? NaN)
  })
})

describe('the HTML report', () => {
  test('is one file: no script, no address, no style that its policy does not allow', async () => {
    const { report, trail } = await backtest(fleetEvents())
    const page = htmlReport({ report, config: 'alerts.yaml', chartOf: (alert) => trail.chartOf(alert) })
    expect(page).not.toMatch(/<script|<link|<img|@import|url\(|https?:|style="| on\w+="/i)
    const style = /<style>([^]*?)<\/style>/.exec(page)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(page).toContain(`content="default-src 'none'; style-src 'sha256-${hash}'"`)
  })

  test('has a chart and the evidence for every alert', async () => {
    const { report, alerts, trail } = await backtest(fleetEvents())
    const page = htmlReport({ report, config: 'alerts.yaml', chartOf: (alert) => trail.chartOf(alert) })
    expect(page.match(/<details\s+class="alert/g)).toHaveLength(alerts.length)
    expect(page.match(/around the alert/g)).toHaveLength(alerts.length)
    for (const { evidence } of alerts) expect(page).toContain(evidence.setting)
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/)
  })

  test('escapes what an attacker chose, wherever it is shown', () => {
    const evil = `"><img src=x onerror=alert(1)>'\u202E</style><script>`
    const alerts = [
      alertAt(10, {
        key_id: evil,
        summary: evil,
        evidence: {
          ...alertAt(0).evidence,
          observed: { [evil]: evil },
          [evil]: [evil],
        },
      }),
    ]
    const summary = {
      events: 1,
      duplicates: 0,
      late: 0,
      firstEventMs: START_MS,
      lastEventMs: START_MS + DAY_MS,
      spans: new Map([[evil, { firstMs: START_MS, lastMs: START_MS + DAY_MS }]]),
    }
    const page = htmlReport({
      report: backtestReport(summary, { alerts, rejectedLines: 0 }),
      config: evil,
      chartOf: () => undefined,
      labels: {
        incidents: [
          { keyId: evil, kind: evil, startMs: 0, endMs: 1, hard: false, costUsd: undefined, curve: [] },
        ],
        benign: [],
      },
    })
    expect(page).not.toMatch(/<img|<script|\u202E/)
    expect(page.match(/<\/style>/g)).toHaveLength(1)
    expect(page).toContain('&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#39;')
  })

  test('of a history without alerts says so', async () => {
    const { report } = await backtest([])
    expect(htmlReport({ report, config: 'alerts.yaml', chartOf: () => undefined })).toContain('None.')
  })
})

test('a template escapes every value that is no markup, in lists too', () => {
  const inner = html`<b>${'a & b'}</b>`
  expect(html`<p title="${'"'}">${[inner, '<', undefined, 3]}</p>`.toString()).toBe(
    '<p title="&quot;"><b>a &amp; b</b>&lt;3</p>',
  )
})
