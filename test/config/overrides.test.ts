import { describe, expect, test } from 'vitest'
import type { DetectorSettings } from '../../src/detect/detector.ts'
import type { DetectorName } from '../../src/detect/finding.ts'
import { DETECTORS } from '../../src/detect/registry.ts'
import { parseConfig } from '../../src/config/load.ts'
import { settingsFor } from '../../src/config/overrides.ts'

interface Key {
  readonly keyId?: string
  readonly teamId?: string
  readonly environment?: string
}

function settingsIn(
  overrides: string,
  head = '',
): (detector: DetectorName, key: Key) => DetectorSettings | undefined {
  const forKey = settingsFor(parseConfig(`version: 1\n${head}overrides:\n${overrides}`, 'alerts.yaml', {}))
  return (detector, { keyId = 'key-1', teamId, environment }) =>
    forKey({ keyId, teamId, environment }).get(detector)
}

describe('overrides', () => {
  test('change the settings of the keys they match and of no other', () => {
    const settings = settingsIn(
      '  - match: { key_id: "batch-*" }\n    detectors: { unusual_hour: { enabled: false } }\n',
    )
    expect(settings('unusual_hour', { keyId: 'batch-7' })).toMatchObject({
      enabled: false,
      severity: 'auto',
      timezone: 'UTC',
    })
    expect(settings('unusual_hour', { keyId: 'web' })).toMatchObject({ enabled: true })
    expect(settings('unusual_geo', { keyId: 'batch-7' })).toMatchObject({ enabled: true })
  })

  test('of several that match, the later wins setting by setting, and defaults undo nothing', () => {
    const settings = settingsIn(`  - match: { key_id: "batch-*" }
    detectors: { volume_spike: { sensitivity: low, min_requests: 500, severity: info } }
  - match: { key_id: batch-billing }
    detectors: { volume_spike: { sensitivity: high } }
`)
    expect(settings('volume_spike', { keyId: 'batch-billing' })).toMatchObject({
      sensitivity: 'high',
      min_requests: 500,
      severity: 'info',
      min_history: 3 * 86_400_000,
    })
  })

  test('start from the settings of the section detectors, not from the defaults', () => {
    const settings = settingsIn(
      '  - match: { key_id: a }\n    detectors: { unusual_geo: { severity: info } }\n',
      'detectors: { unusual_geo: { min_history: 9d } }\n',
    )
    expect(settings('unusual_geo', { keyId: 'a' })).toMatchObject({
      severity: 'info',
      min_history: 9 * 86_400_000,
    })
  })

  test('need everything that they name to match; a list needs one of it', () => {
    const settings = settingsIn(
      '  - match: { key_id: "k*", team_id: [red, "blue-*"], environment: prod }\n    detectors: { unusual_geo: { enabled: false } }\n',
    )
    const enabled = (key: Key): boolean | undefined => settings('unusual_geo', key)?.enabled
    expect(enabled({ keyId: 'k1', teamId: 'blue-2', environment: 'prod' })).toBe(false)
    expect(enabled({ keyId: 'k1', teamId: 'red', environment: 'prod' })).toBe(false)
    expect(enabled({ keyId: 'k1', teamId: 'green', environment: 'prod' })).toBe(true)
    expect(enabled({ keyId: 'x1', teamId: 'red', environment: 'prod' })).toBe(true)
    expect(enabled({ keyId: 'k1', teamId: 'red', environment: 'test' })).toBe(true)
  })

  test('a team that is not known is not matched, not even by *', () => {
    const settings = settingsIn(
      '  - match: { team_id: "*" }\n    detectors: { unusual_geo: { enabled: false } }\n',
    )
    expect(settings('unusual_geo', {})?.enabled).toBe(true)
    expect(settings('unusual_geo', { teamId: 'red' })?.enabled).toBe(false)
  })

  test('keys with the same overrides share one result', () => {
    const text =
      'version: 1\noverrides:\n  - match: { key_id: "b*" }\n    detectors: { unusual_geo: { enabled: false } }\n'
    const config = parseConfig(text, 'alerts.yaml', {})
    const forKey = settingsFor(config)
    const key = (keyId: string) => ({ keyId, teamId: undefined, environment: undefined })
    expect(forKey(key('b1'))).toBe(forKey(key('b2')))
    expect(forKey(key('a1'))).toBe(config.detectors)
  })

  test.each(DETECTORS.map(({ name, settings }) => [name, settings] as const))(
    'the settings of %s do not depend on one another, so that overrides can be laid over them one by one',
    (_name, settings) => {
      // A check of the whole object would not be made again for a merged one.
      expect(settings._zod.def.checks ?? []).toEqual([])
    },
  )
})
