import { severityRank, type Evidence, type JsonValue, type Severity } from '../detect/finding.ts'
import type { BacktestAlert } from './backtest.ts'
import { html, type Markup } from './html.ts'
import type { Labels } from './labels.ts'
import { alertChart, METRIC_WORDS } from './report-charts.ts'
import { verdictOf } from './score.ts'
import type { AlertChart } from './usage-trail.ts'

/** Alerts drawn in one file: more would make it slow to open. The worst come first. */
export const ALERTS_SHOWN = 300
/** The first ones are unfolded. */
const ALERTS_OPEN = 20

/** The section of the HTML report with every alert, its chart and its evidence. */
export function alertSection(
  alerts: readonly BacktestAlert[],
  {
    chartOf,
    labels,
    fresh,
  }: {
    readonly chartOf: (alert: BacktestAlert) => AlertChart | undefined
    readonly labels: Labels | undefined
    /** Those that only the second of two configurations raises. */
    readonly fresh: ReadonlySet<BacktestAlert>
  },
): Markup {
  const shown = alerts
    .toSorted(
      (a, b) => severityRank(b.severity) - severityRank(a.severity) || Date.parse(a.at) - Date.parse(b.at),
    )
    .slice(0, ALERTS_SHOWN)
  const left = alerts.length - shown.length
  return html`<section>
    <h2>Alerts</h2>
    ${alerts.length === 0 ? html`<p>None.</p>` : html`<p class="note">The worst first. Bars: usage by the hour; the band: where 95 % of such hours are for this key; the line: the alert.</p>`}
    ${shown.map((alert, index) =>
      oneAlert(alert, {
        chart: chartOf(alert),
        verdict: labels === undefined ? undefined : verdictText(alert, labels),
        isFresh: fresh.has(alert),
        isOpen: index < ALERTS_OPEN,
      }),
    )}
    ${left > 0 ? html`<p class="note">${left} more alerts are not drawn; --format json has them all.</p>` : undefined}
  </section>`
}

function oneAlert(
  alert: BacktestAlert,
  {
    chart,
    verdict,
    isFresh,
    isOpen,
  }: {
    readonly chart: AlertChart | undefined
    readonly verdict: string | undefined
    readonly isFresh: boolean
    readonly isOpen: boolean
  },
): Markup {
  return html`<details class="alert ${alert.severity}" ${isOpen ? html` open` : undefined}>
    <summary>
      ${badge(alert)} <span class="detector">${alert.detector}</span>
      <time>${minute(alert.at)}</time
      >${isFresh ? html` <span class="tag">new</span>` : undefined}${verdict === undefined ? undefined : html` <span class="tag">${verdict}</span>`}<span
        class="says"
        >${alert.summary}</span
      >
    </summary>
    ${
      chart === undefined
        ? undefined
        : html`<figure>
            ${alertChart(chart)}
            <figcaption>${METRIC_WORDS[chart.metric]} an hour, UTC</figcaption>
          </figure>`
    }
    ${evidence(alert.evidence)}
  </details>`
}

function verdictText(alert: BacktestAlert, labels: Labels): string {
  const verdict = verdictOf(alert, labels)
  switch (verdict.kind) {
    case 'right':
      return `right: ${[...new Set(verdict.incidents.map(({ kind }) => kind))].join(', ')}`
    case 'neutral':
      return 'neutral'
    case 'false':
      return verdict.benign === undefined ? 'false' : `false: ${verdict.benign}`
    default:
      return verdict satisfies never
  }
}

function evidence(facts: Evidence): Markup {
  return html`<dl class="evidence">
    ${Object.entries(facts).map(
      ([name, value]) =>
        html`<div>
          <dt>${name.replaceAll('_', ' ')}</dt>
          <dd>${valueOf(value)}</dd>
        </div>`,
    )}
  </dl>`
}

/** Plain values as text, flat objects as `name value` pairs, the rest as JSON. */
function valueOf(value: JsonValue): string {
  if (value === null) return 'none'
  if (typeof value !== 'object')
    return typeof value === 'number'
      ? value.toLocaleString('en-US', { maximumSignificantDigits: 6 })
      : String(value)
  if (Array.isArray(value)) {
    const items = value as readonly JsonValue[]
    return items.length === 0 ? 'none' : items.map(valueOf).join('; ')
  }
  return Object.entries(value)
    .map(([name, part]) => `${name.replaceAll('_', ' ')} ${valueOf(part)}`)
    .join(', ')
}

export function badge({ severity }: { readonly severity: Severity }): Markup {
  return html`<span class="badge ${severity}">${severity}</span>`
}

/** An ISO instant to the minute. */
export function minute(at: string): string {
  return at.slice(0, 16).replace('T', ' ')
}
