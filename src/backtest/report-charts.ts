import { DAY_MS, HOUR_MS } from '../usage/duration.ts'
import { html, type Markup } from './html.ts'
import type { AlertChart, ChartHour, ChartMetric } from './usage-trail.ts'

/** A day of alerts: how many of each series. */
export interface DayCounts {
  readonly dayMs: number
  readonly counts: readonly number[]
}

const WIDTH = 960
const PLOT = { left: 48, right: 8, top: 8, bottom: 22 }

/** Bars of alerts a day, stacked by series. `names` are those of the series, drawn in colours s0, s1, ... */
export function dayChart(days: readonly DayCounts[], names: readonly string[]): Markup {
  const height = 200
  const top = niceMax(Math.max(2, ...days.map(({ counts }) => counts.reduce((sum, count) => sum + count, 0))))
  const y = scaleOf(top, height)
  const step = (WIDTH - PLOT.left - PLOT.right) / Math.max(1, days.length)
  const bars = days.map(({ dayMs, counts }, day) => {
    let below = 0
    return counts.map((count, series) => {
      if (count === 0) return undefined
      const from = y(below)
      below += count
      const x = PLOT.left + day * step + step * 0.1
      return html`<rect
        class="s${series}"
        x="${round(x)}"
        y="${round(y(below))}"
        width="${round(Math.min(step * 0.8, 48))}"
        height="${round(from - y(below))}"
        ><title>${dayOf(dayMs)}: ${count} of ${names[series]}</title></rect
      >`
    })
  })
  const every = Math.max(1, Math.ceil(days.length / 12))
  const labels = days.map(({ dayMs }, day) =>
    day % every === 0
      ? html`<text x="${round(PLOT.left + (day + 0.1) * step)}" y="${height - 6}">${shortDay(dayMs)}</text>`
      : undefined,
  )
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Alerts a day by detector">
    ${gridOf(top, y, String)}${bars}${labels}
  </svg>`
}

/** The usage around an alert as bars over the band of what is usual, with a mark at the alert. */
export function alertChart(chart: AlertChart): Markup {
  const height = 150
  const { hours, metric, atMs } = chart
  const firstMs = hours[0]?.hourMs ?? atMs
  const step = (WIDTH - PLOT.left - PLOT.right) / Math.max(1, hours.length)
  const x = (ms: number): number => PLOT.left + ((ms - firstMs) / HOUR_MS) * step
  const most = Math.max(...hours.map(({ amount, usual }) => Math.max(amount, usual?.high ?? 0)))
  const top = niceMax(most > 0 ? most : 1)
  const y = scaleOf(top, height)
  const bars = hours
    .filter(({ amount }) => amount > 0)
    .map(({ hourMs, amount, usual }) => {
      const isAbove = usual !== undefined && amount > usual.high
      const barTop = Math.min(y(amount), y(0) - 1)
      return html`<rect
        class="${isAbove ? 'above' : 'within'}"
        x="${round(x(hourMs) + step * 0.12)}"
        y="${round(barTop)}"
        width="${round(step * 0.76)}"
        height="${round(y(0) - barTop)}"
        ><title>
          ${hourText(hourMs)}:
          ${amountText(amount, metric)}${usual === undefined ? '' : `, usual ${rangeText(usual, metric)}`}
        </title></rect
      >`
    })
  const days = hours
    .filter(({ hourMs }) => hourMs % (12 * HOUR_MS) === 0)
    .map(
      ({ hourMs }) =>
        html`<line
            class="tick"
            x1="${round(x(hourMs))}"
            x2="${round(x(hourMs))}"
            y1="${y(0)}"
            y2="${y(0) + 4}"
          /><text x="${round(x(hourMs) + 2)}" y="${height - 6}"
            >${hourMs % DAY_MS === 0 ? shortDay(hourMs) : '12:00'}</text
          >`,
    )
  const at = round(x(atMs))
  return html`<svg
    viewBox="0 0 ${WIDTH} ${height}"
    role="img"
    aria-label="${METRIC_WORDS[metric]} an hour around the alert"
  >
    ${gridOf(top, y, (value) => amountText(value, metric))}${bandOf(hours, { x, y })}${bars}${days}
    <line class="mark" x1="${at}" x2="${at}" y1="${PLOT.top - 6}" y2="${y(0)}" />
  </svg>`
}

export const METRIC_WORDS: Readonly<Record<ChartMetric, string>> = {
  requests: 'Requests',
  tokens: 'Tokens',
  cost_usd: 'US dollars',
}

interface Scales {
  readonly x: (ms: number) => number
  readonly y: (amount: number) => number
}

/** The usual range as a stepped area. Hours without one leave a gap. */
function bandOf(hours: readonly ChartHour[], { x, y }: Scales): Markup[] {
  return hours
    .filter(({ usual }) => usual !== undefined)
    .map(({ hourMs, usual }) => {
      const top = y(usual?.high ?? 0)
      const bottom = Math.max(y(usual?.low ?? 0), top + 1)
      return html`<rect
        class="usual"
        x="${round(x(hourMs))}"
        y="${round(top)}"
        width="${round(x(hourMs + HOUR_MS) - x(hourMs) + 0.05)}"
        height="${round(bottom - top)}"
      />`
    })
}

function gridOf(top: number, y: (amount: number) => number, text: (value: number) => string): Markup[] {
  return [0, 0.5, 1].map((share) => {
    const at = round(y(top * share))
    return html`<line class="grid" x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${at}" y2="${at}" /><text
        class="axis"
        x="${PLOT.left - 6}"
        y="${at + 4}"
        >${text(top * share)}</text
      >`
  })
}

function scaleOf(top: number, height: number): (amount: number) => number {
  return (amount) => height - PLOT.bottom - (amount / top) * (height - PLOT.bottom - PLOT.top)
}

/** The next 2, 4, 6, 10 times a power of ten: halves of it are round as well. */
function niceMax(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  const factor = [1, 2, 4, 6, 10].find((candidate) => candidate * power >= value) ?? 10
  return Math.max(power * factor, value)
}

export function amountText(amount: number, metric: ChartMetric): string {
  if (metric === 'cost_usd')
    return `$${amount >= 100 ? compact(amount) : amount.toFixed(amount >= 1 ? 2 : 3)}`
  return compact(amount)
}

function rangeText(
  { low, high }: { readonly low: number; readonly high: number },
  metric: ChartMetric,
): string {
  return `${amountText(low, metric)} to ${amountText(high, metric)}`
}

function compact(value: number): string {
  if (value < 10 && !Number.isInteger(value)) return value.toFixed(1)
  return new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function shortDay(ms: number): string {
  return new Intl.DateTimeFormat('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' }).format(ms)
}

function hourText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
