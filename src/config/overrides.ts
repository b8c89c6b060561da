import { matchesKey, type KeyMatch } from '../alert/pattern.ts'
import type { DetectorSettings } from '../detect/detector.ts'
import type { DetectorName } from '../detect/finding.ts'
import type { KeyAttributes } from '../usage/event.ts'
import type { Config } from './config.ts'

/** Settings of detectors that differ for the keys that match. */
export interface DetectorOverride {
  readonly match: KeyMatch
  /** Only what was written, parsed: no defaults, they would undo an earlier override. */
  readonly detectors: ReadonlyMap<DetectorName, Readonly<Record<string, unknown>>>
}

/**
 * The settings of every detector for a key. Of several overrides that match, the later wins, setting by setting. The
 * result is the same object for all keys on which the same overrides match.
 */
export function settingsFor(
  config: Pick<Config, 'detectors' | 'overrides'>,
): (key: KeyAttributes) => ReadonlyMap<DetectorName, DetectorSettings> {
  const merged = new Map<string, ReadonlyMap<DetectorName, DetectorSettings>>()
  return (key) => {
    const matching = config.overrides.filter(({ match }) => matchesKey(match, key))
    if (matching.length === 0) return config.detectors
    const cacheKey = matching.map((override) => config.overrides.indexOf(override)).join()
    const known = merged.get(cacheKey)
    if (known !== undefined) return known
    const settings = merge(config.detectors, matching)
    merged.set(cacheKey, settings)
    return settings
  }
}

function merge(
  base: ReadonlyMap<DetectorName, DetectorSettings>,
  overrides: readonly DetectorOverride[],
): ReadonlyMap<DetectorName, DetectorSettings> {
  const settings = new Map(base)
  for (const { detectors } of overrides) {
    for (const [name, changes] of detectors) {
      const before = settings.get(name)
      // Sound without parsing again: each setting was checked by its own schema, and none of them depends on another.
      if (before !== undefined) settings.set(name, { ...before, ...changes })
    }
  }
  return settings
}
