import { createHash } from 'node:crypto'
import type { BacktestAlert } from './backtest.ts'
import type { AlertDiff } from './diff.ts'
import { html, Markup } from './html.ts'
import type { Labels } from './labels.ts'
import { alertSection, ALERTS_SHOWN, badge, minute } from './report-alerts.ts'
import { alertsPerDay, detectorCounts, noisiestKeys } from './report-counts.ts'
import { labelScores, missedIncidents } from './report-labels.ts'
import { REPORT_STYLE } from './report-style.ts'
import type { BacktestReport } from './report.ts'
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
          ${page.report.scores === undefined ? undefined : labelScores(page.report.scores)}
          ${alertsPerDay(page.report)}
          <div class="pair">${detectorCounts(page.report)}${noisiestKeys(page.report)}</div>
          ${page.labels === undefined ? undefined : missedIncidents(page.report, page.labels)}
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
