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
  const { action, ...revoke } = parsed.revoke
  // The registries' schemas are known to TypeScript only as "some object": what they give is checked by them.
  const channels = parsed.channels as Readonly<Record<string, TypedSettings>>
  const detectors = parsed.detectors as unknown as Readonly<Record<DetectorName, DetectorSettings>>
  return {
    file,
    digest,
    channels: new Map(Object.entries(channels)),
    routes: parsed.routes ?? [{ channels: Object.keys(channels) }],
    notify: {
      groupBy: notify.group_by,
      groupWaitMs: notify.group_wait,
      repeatIntervalMs: notify.repeat_interval,
      resolveAfterMs: notify.resolve_after,
    },
    detectors: new Map(DETECTORS.map(({ name }) => [name, detectors[name]])),
    overrides: parsed.overrides.map((override, index) =>
      toOverride(override, valueAt(input, ['overrides', index])),
    ),
    revoke,
    revokeAction: action as TypedSettings | undefined,
    schedule: { tickMs: schedule.tick, shards: schedule.shards },
    retention: {
      eventsMs: retention.events,
      rollupsMs: retention.rollups,
      rejectedMs: retention.rejected,
      deliveriesMs: retention.deliveries,
    },
    network: { allowPrivate: network.allow_private },
    links: { baseUrl: links.base_url },
    warnings,
  }
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
