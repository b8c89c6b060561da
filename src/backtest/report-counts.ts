import { SEVERITIES } from '../detect/finding.ts'
import { DAY_MS } from '../usage/duration.ts'
import type { BacktestAlert } from './backtest.ts'
import { html, type Markup } from './html.ts'
import { badge } from './report-alerts.ts'
import { dayChart, type DayCounts } from './report-charts.ts'
import type { BacktestReport } from './report.ts'

const KEYS_SHOWN = 15

/** A chart of the alerts of each day, by detector; nothing when there are none. */
export function alertsPerDay({ alerts: all, from, to }: BacktestReport): Markup | undefined {
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

/** A table of alerts by detector and severity. */
export function detectorCounts({ counts: rows }: BacktestReport): Markup {
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

/** The keys that alert most, each with a bar of its severities. */
export function noisiestKeys({ alerts: all }: BacktestReport): Markup {
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

function dayStart(at: string): number {
  return Math.floor(Date.parse(at) / DAY_MS) * DAY_MS
}
