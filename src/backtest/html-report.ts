import { createHash } from 'node:crypto'
import { SEVERITIES } from '../detect/finding.ts'
import { DAY_MS } from '../usage/duration.ts'
import type { BacktestAlert } from './backtest.ts'
import type { AlertDiff } from './diff.ts'
import { html, Markup } from './html.ts'
import type { Labels } from './labels.ts'
import { alertSection, ALERTS_SHOWN, badge, minute } from './report-alerts.ts'
import { dayChart, type DayCounts } from './report-charts.ts'
import { REPORT_STYLE } from './report-style.ts'
import type { BacktestReport } from './report.ts'
import { verdictOf, type LevelScore } from './score.ts'
import type { AlertChart } from './usage-trail.ts'

export interface HtmlReport {
  readonly report: BacktestReport
  /** What was run: shown as the name of the report. */
  readonly config: string
  readonly chartOf: (alert: BacktestAlert) => AlertChart | undefined
  readonly labels?: Labels | undefined
  /** With two configurations: the report is of the second, and tells what it changes. */
  readonly compared?: { readonly with: string; readonly diff: AlertDiff } | undefined
}

const KEYS_SHOWN = 15
const MISSED_SHOWN = 100

// As one piece: its hash is of what stands between the tags, to the last space.
const STYLE_ELEMENT = new Markup(`<style>${REPORT_STYLE}</style>`)

/** The whole report as one HTML file: no script, nothing from outside, everything that is shown escaped. */
export function htmlReport(page: HtmlReport): string {
  const styleHash = createHash('sha256').update(REPORT_STYLE).digest('base64')
  const markup = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'sha256-${new Markup(styleHash)}'"
        />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>keyhound backtest</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <main>
          ${header(page)} ${page.compared === undefined ? undefined : comparison(page.compared)}
          ${page.report.scores === undefined ? undefined : scores(page.report.scores)}
          ${alertsPerDay(page.report)}
          <div class="pair">${counts(page.report)}${keys(page.report)}</div>
          ${page.labels === undefined ? undefined : missed(page.report, page.labels)}
          ${alertSection(page.report.alerts, {
            chartOf: page.chartOf,
            labels: page.labels,
            fresh: new Set(page.compared?.diff.only_b),
          })}
        </main>
      </body>
    </html> `
  return markup.toString()
}

function header({ report, config }: HtmlReport): Markup {
  const of = (severity: string): number => report.alerts.filter((alert) => alert.severity === severity).length
  const tiles = [
    ['critical', String(of('critical'))],
    ['warning', String(of('warning'))],
    ['info', String(of('info'))],
    ['keys', report.keys.toLocaleString('en-US')],
    ['key-days', Math.round(report.key_days).toLocaleString('en-US')],
    ['events', report.events.toLocaleString('en-US')],
  ] as const
  return html`<header>
    <h1>keyhound backtest</h1>
    <p>
      ${config}${report.from === null ? undefined : html`, <time>${minute(report.from)}</time> to <time>${minute(report.to ?? '')}</time> UTC`}
    </p>
    <dl class="tiles">
      ${tiles.map(
        ([name, value]) =>
          html`<div class="${name}">
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </header>`
}

function comparison({ with: other, diff }: NonNullable<HtmlReport['compared']>): Markup {
  return html`<section>
    <h2>Against ${other}</h2>
    <table>
      <thead>
        <tr>
          <th>detector</th>
          <th class="n">gone</th>
          <th class="n">new</th>
          <th class="n">in both</th>
          <th class="n">other severity</th>
        </tr>
      </thead>
      <tbody>
        ${diff.detectors.map(
          (count) =>
            html`<tr>
              <td>${count.detector}</td>
              <td class="n">${count.only_a}</td>
              <td class="n">${count.only_b}</td>
              <td class="n">${count.both}</td>
              <td class="n">${count.severity_changed}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${
      diff.only_a.length === 0
        ? undefined
        : html`<details>
            <summary>${diff.only_a.length} alerts are gone</summary>
            <ul class="plain">
              ${diff.only_a.slice(0, ALERTS_SHOWN).map((alert) => html`<li><time>${minute(alert.at)}</time> ${badge(alert)} ${alert.summary}</li>`)}
            </ul>
          </details>`
    }
  </section>`
}

function scores(levels: readonly LevelScore[]): Markup {
  const heads = [
    'recall',
    'precision',
    'false per 100 key-days',
    'minutes to detect',
    'p90',
    'spend prevented',
  ]
  const warning = levels.find(({ severity }) => severity === 'warning')
  return html`<section>
    <h2>Against the labels</h2>
    <table>
      <thead>
        <tr>
          <th>severity</th>
          <th class="n">detected</th>
          ${heads.map((head) => html`<th class="n">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${levels.map(
          (level) =>
            html`<tr>
              <td>${level.severity === 'critical' ? 'critical' : `${level.severity} and worse`}</td>
              <td class="n">${level.detected} of ${level.incidents}</td>
              <td class="n">${fixed(level.recall, 2)}</td>
              <td class="n">${fixed(level.precision, 2)}</td>
              <td class="n">${level.false_per_100_key_days.toFixed(2)}</td>
              <td class="n">${fixed(level.minutes_to_detect.median, 1)}</td>
              <td class="n">${fixed(level.minutes_to_detect.p90, 1)}</td>
              <td class="n">${fixed(level.spend_prevented, 2)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${
      warning === undefined
        ? undefined
        : html`<details>
            <summary>By kind, warning and worse</summary>
            <table>
              <thead>
                <tr>
                  <th>kind</th>
                  <th class="n">cases</th>
                  <th class="n">alerted</th>
                  <th class="n">minutes</th>
                </tr>
              </thead>
              <tbody>
                ${warning.kinds.map(
                  (kind) =>
                    html`<tr>
                      <td>${kind.kind}</td>
                      <td class="n">${kind.incidents}</td>
                      <td class="n">${kind.detected}</td>
                      <td class="n">${fixed(kind.minutes_to_detect_median, 1)}</td>
                    </tr>`,
                )}
                ${warning.benign.map(
                  (window) =>
                    html`<tr>
                      <td>benign: ${window.kind}</td>
                      <td class="n">${window.windows}</td>
                      <td class="n">${window.alerted}</td>
                      <td></td>
                    </tr>`,
                )}
              </tbody>
            </table>
          </details>`
    }
  </section>`
}

function alertsPerDay({ alerts: all, from, to }: BacktestReport): Markup | undefined {
  if (from === null || to === null || all.length === 0) return undefined
  const names = [...new Set(all.map(({ detector }) => detector))].toSorted()
  const days = new Map<number, number[]>()
  for (let dayMs = dayStart(from); dayMs <= dayStart(to); dayMs += DAY_MS)
    days.set(
      dayMs,
      names.map(() => 0),
    )
  for (const { at, detector } of all) {
    const counted = days.get(dayStart(at))
    const series = names.indexOf(detector)
    if (counted !== undefined) counted[series] = (counted[series] ?? 0) + 1
  }
  const bars: DayCounts[] = [...days].map(([dayMs, seriesCounts]) => ({ dayMs, counts: seriesCounts }))
  return html`<section>
    <h2>Alerts a day</h2>
    ${dayChart(bars, names)}
    <ul class="legend">
      ${names.map(
        (name, series) =>
          html`<li>
            <svg viewBox="0 0 10 10" aria-hidden="true">
              <rect class="s${series}" width="10" height="10" /></svg
            >${name}
          </li>`,
      )}
    </ul>
  </section>`
}

function counts({ counts: rows }: BacktestReport): Markup {
  return html`<section>
    <h2>By detector</h2>
    <table>
      <thead>
        <tr>
          <th>detector</th>
          <th>severity</th>
          <th class="n">alerts</th>
          <th class="n">per 100 key-days</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <td>${row.detector}</td>
              <td>${badge(row)}</td>
              <td class="n">${row.alerts}</td>
              <td class="n">${row.per_100_key_days.toFixed(2)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function keys({ alerts: all }: BacktestReport): Markup {
  const most = [...Map.groupBy(all, ({ key_id: keyId }) => keyId)]
    .toSorted(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
    .slice(0, KEYS_SHOWN)
  const top = most[0]?.[1].length ?? 1
  return html`<section>
    <h2>Keys that alert most</h2>
    <table>
      <thead>
        <tr>
          <th>key</th>
          <th class="n">alerts</th>
          <th></th>
        </tr>
      </thead>
      <tbody>
        ${most.map(
          ([keyId, those]) =>
            html`<tr>
              <td class="key">${keyId}</td>
              <td class="n">${those.length}</td>
              <td>${keyBar(those, top)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function keyBar(those: readonly BacktestAlert[], top: number): Markup {
  let x = 0
  const parts = SEVERITIES.toReversed().map((severity) => {
    const width = (120 * those.filter((alert) => alert.severity === severity).length) / top
    const part = html`<rect
      class="${severity}"
      x="${x.toFixed(1)}"
      y="0"
      width="${width.toFixed(1)}"
      height="10"
    />`
    x += width
    return part
  })
  return html`<svg class="bar" viewBox="0 0 120 10" aria-hidden="true">${parts}</svg>`
}

function missed({ alerts: all }: BacktestReport, { incidents }: Labels): Markup | undefined {
  const found = new Set(
    all.flatMap((alert) => {
      const verdict = verdictOf(alert, { incidents, benign: [] })
      return verdict.kind === 'right' ? verdict.incidents : []
    }),
  )
  const unseen = incidents.filter((incident) => !found.has(incident))
  if (unseen.length === 0) return undefined
  return html`<section>
    <h2>Incidents without an alert</h2>
    <table>
      <thead>
        <tr>
          <th>kind</th>
          <th>key</th>
          <th>from</th>
          <th>to</th>
        </tr>
      </thead>
      <tbody>
        ${unseen.slice(0, MISSED_SHOWN).map(
          (incident) =>
            html`<tr>
              <td>${incident.kind}</td>
              <td class="key">${incident.keyId}</td>
              <td><time>${minute(new Date(incident.startMs).toISOString())}</time></td>
              <td><time>${minute(new Date(incident.endMs).toISOString())}</time></td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function dayStart(at: string): number {
  return Math.floor(Date.parse(at) / DAY_MS) * DAY_MS
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '–' : value.toFixed(digits)
}
