import { maintenanceAt } from '../alert/maintenance.ts'
import { planAnnouncement } from '../alert/plan-announcement.ts'
import type { DetectorSettings } from '../detect/detector.ts'
import type { Finding } from '../detect/finding.ts'
import type { TickEngine } from '../engine/tick.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { Config } from './config.ts'
import { settingsFor } from './overrides.ts'
import type { GroupField } from './alerting-schema.ts'

/** The part of the engine that follows from the configuration: the same for the daemon and the backtest. */
export type TickSettings = Pick<
  TickEngine,
  'settingsFor' | 'timeZoneFor' | 'groupKeyFor' | 'resolveAfterMs' | 'lifecycle' | 'money' | 'plan'
>

/** `nowMs` is the clock of whoever runs the ticks: announcements are due by it. */
export function tickSettings(config: Config, nowMs: () => number): TickSettings {
  const settingsOf = settingsFor(config)
  return {
    settingsFor: settingsOf,
    timeZoneFor: (key) => timeZoneOf(settingsOf(key).get('unusual_hour')),
    groupKeyFor: (finding, key) => groupKey(config.notify.groupBy, finding, key),
    // With so many ticks at the least, so that the backtest, which counts time alone, says the same.
    resolveAfterMs: Math.max(
      config.notify.resolveAfterMs,
      config.notify.cleanEvaluations * config.schedule.tickMs,
    ),
    money: config.severity,
    lifecycle: {
      closeAt: config.notify.closeAt,
      cleanEvaluations: config.notify.cleanEvaluations,
      mutesAt: (atMs) => maintenanceAt(config.maintenance, atMs),
    },
    plan: (incident, alerts, keys) =>
      planAnnouncement(incident, alerts, {
        keys,
        routes: config.routes,
        settings: config.notify,
        nowMs: nowMs(),
      }),
  }
}

/** The week of a key is learnt in the time zone in which `unusual_hour` judges it. */
function timeZoneOf(settings: DetectorSettings | undefined): string {
  return settings !== undefined && 'timezone' in settings && typeof settings.timezone === 'string'
    ? settings.timezone
    : 'UTC'
}

function groupKey(fields: readonly GroupField[], finding: Finding, key: KeyAttributes): string {
  const values: Record<GroupField, string | undefined> = {
    key_id: finding.keyId,
    team_id: key.teamId,
    environment: key.environment,
    detector: finding.detector,
  }
  return JSON.stringify(fields.map((field) => values[field] ?? null))
}
