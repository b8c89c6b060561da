import type { MaintenanceWindow } from '../alert/maintenance.ts'
import type { Route } from '../alert/route.ts'
import { partOf } from '../detect/alert-budget.ts'
import type { DetectorSettings } from '../detect/detector.ts'
import { DETECTORS } from '../detect/registry.ts'
import type { DetectorName } from '../detect/finding.ts'
import type { Config, TypedSettings } from './config.ts'
import type { DetectorOverride } from './overrides.ts'
import type { Problem } from './problem.ts'
import type { AlertsFile } from './schema.ts'
import { valueAt } from './value-at.ts'

/** The configuration as the program uses it, from the file's settings. `input` is what was written, before defaults. */
export function toConfig({
  parsed,
  input,
  file,
  digest,
  warnings,
}: {
  readonly parsed: AlertsFile
  readonly input: unknown
  readonly file: string | undefined
  readonly digest: string | undefined
  readonly warnings: readonly Problem[]
}): Config {
  const { notify, schedule, retention, network, links } = parsed
  const fleetBudget = parsed.alert_budget.false_alerts_per_100_key_days
  const { action, actions, ...revoke } = parsed.revoke
  // The registries' schemas are known to TypeScript only as "some object": what they give is checked by them.
  const channels = parsed.channels as Readonly<Record<string, TypedSettings>>
  const detectors = parsed.detectors as unknown as Readonly<Record<DetectorName, DetectorSettings>>
  return {
    file,
    digest,
    channels: new Map(Object.entries(channels)),
    routes: parsed.routes?.map(toRoute) ?? [{ channels: Object.keys(channels) }],
    notify: {
      groupBy: notify.group_by,
      groupWaitMs: notify.group_wait,
      repeatIntervalMs: notify.repeat_interval,
      repeatBackoff: notify.repeat_backoff,
      repeatMaxMs: notify.repeat_max,
      resolveAfterMs: notify.resolve_after,
      cleanEvaluations: notify.clean_evaluations,
      closeAt: notify.close_at,
      silenceMaxMs: notify.silence_max,
      safeForMs: notify.safe_for,
    },
    severity: {
      warningUsdPerHour: parsed.severity.warning_usd_per_hour,
      criticalUsdPerHour: parsed.severity.critical_usd_per_hour,
      pageFromUsdPerHour: parsed.severity.page_from_usd_per_hour,
    },
    maintenance: parsed.maintenance.map(toMaintenanceWindow),
    detectors: new Map(DETECTORS.map(({ name }) => [name, withBudget(name, detectors[name], fleetBudget)])),
    overrides: parsed.overrides.map((override, index) =>
      toOverride(override, valueAt(input, ['overrides', index])),
    ),
    revoke,
    revokeAction: action as TypedSettings | undefined,
    revokeActions: actions.map((entry) => ({
      match: entry.match,
      action: entry.action as unknown as TypedSettings,
    })),
    selfWatch: parsed.self_watch,
    heartbeat: parsed.heartbeat,
    weeklyDigest: parsed.digest,
    schedule: { tickMs: schedule.tick, shards: schedule.shards },
    retention: {
      eventsMs: retention.events,
      rollupsMs: retention.rollups,
      rejectedMs: retention.rejected,
      deliveriesMs: retention.deliveries,
    },
    network: { allowPrivate: network.allow_private },
    links: { baseUrl: links.base_url, expireAfterMs: links.expire_after },
    warnings,
  }
}

/** A detector without a budget of its own has its part of the fleet's. */
function withBudget(name: DetectorName, settings: DetectorSettings, fleetBudget: number): DetectorSettings {
  const budget = settings.false_alerts_per_100_key_days ?? partOf(name, fleetBudget)
  return budget === undefined ? settings : { ...settings, false_alerts_per_100_key_days: budget }
}

/** Keeps only the settings that were written: the schema filled in the defaults of the others. */
function toOverride({ match, detectors }: AlertsFile['overrides'][number], input: unknown): DetectorOverride {
  const written = DETECTORS.flatMap(({ name }) => {
    const settings = valueAt(detectors, [name])
    const raw = valueAt(input, ['detectors', name])
    if (settings === undefined) return []
    const kept = Object.entries(settings as object).filter(
      ([setting]) => valueAt(raw, [setting]) !== undefined,
    )
    return [[name, Object.fromEntries(kept) as Readonly<Record<string, unknown>>] as const]
  })
  return { match, detectors: new Map(written) }
}

function toRoute({ escalate, ...route }: NonNullable<AlertsFile['routes']>[number]): Route {
  return escalate === undefined
    ? route
    : { ...route, escalate: { afterMs: escalate.after, channels: escalate.channels } }
}

function toMaintenanceWindow(window: AlertsFile['maintenance'][number]): MaintenanceWindow {
  const { name, match = {}, weekly, starts_at: starts, ends_at: ends } = window
  return {
    name,
    match,
    ...(starts === undefined || ends === undefined
      ? {}
      : { fixed: { startsMs: Date.parse(starts), endsMs: Date.parse(ends) } }),
    ...(weekly === undefined
      ? {}
      : {
          weekly: {
            days: weekly.days,
            fromMinute: minuteOf(weekly.from),
            toMinute: minuteOf(weekly.to),
            timeZone: weekly.timezone,
          },
        }),
  }
}

/** Minutes since midnight of `22:30`. */
function minuteOf(clock: string): number {
  return Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3))
}
