import { html, type Markup } from './html.ts'
import type { Labels } from './labels.ts'
import { minute } from './report-alerts.ts'
import type { BacktestReport } from './report.ts'
import { verdictOf, type LevelScore } from './score.ts'

const MISSED_SHOWN = 100

/** How the alerts score against the labels, a row a severity, and below it each kind of incident and benign change. */
export function labelScores(levels: readonly LevelScore[]): Markup {
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

/** The incidents that no alert told of; nothing when all were told. */
export function missedIncidents({ alerts: all }: BacktestReport, { incidents }: Labels): Markup | undefined {
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

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '–' : value.toFixed(digits)
}
