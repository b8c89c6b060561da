import { announce } from '../../src/alert/announce.ts'
import type { Finding } from '../../src/detect/finding.ts'
import type { AnnouncementPlanner, TickDecisions } from '../../src/store/engine-store.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'

/** A finding about key-1; name only what the test is about. */
export function finding(overrides: Partial<Finding> = {}): Finding {
  return {
    detector: 'unusual_geo',
    keyId: 'key-1',
    scope: '',
    severity: 'warning',
    summary: 'key-1 was used from RO for the first time (32 days of history: US, CA)',
    evidence: {
      metric: 'country',
      observed: 'RO',
      expected: ['US', 'CA'],
      window: {
        start: new Date(SOME_TIME_MS - MINUTE_MS).toISOString(),
        end: new Date(SOME_TIME_MS).toISOString(),
      },
      history: { days: 32, events: 40_000 },
      setting: 'detectors.unusual_geo.min_history: 3d',
    },
    ...overrides,
  }
}

/** What a tick decided, `at` milliseconds after SOME_TIME_MS; findings are grouped by key. */
export function decisions(
  findings: readonly Finding[],
  { at = 0, resolved = [] }: { at?: number; resolved?: readonly string[] } = {},
): TickDecisions {
  return {
    nowMs: SOME_TIME_MS + at,
    findings: findings.map((found) => ({
      finding: found,
      key: { keyId: found.keyId, teamId: undefined, environment: undefined },
      groupKey: found.keyId,
    })),
    resolved,
  }
}

export const GROUP_WAIT_MS = 5 * SECOND_MS
export const REPEAT_MS = 4 * 60 * MINUTE_MS

/** The product's own rules of announcing, at an instant; what is critical also goes to `security`. */
export function planAt(nowMs: number): AnnouncementPlanner {
  return (incident, alerts) => {
    const settings = { groupWaitMs: GROUP_WAIT_MS, repeatIntervalMs: REPEAT_MS }
    const announcement = announce(incident, alerts, { settings, nowMs })
    if (announcement === undefined) return undefined
    return {
      announcement,
      channels: announcement.lead.severity === 'critical' ? ['oncall', 'security'] : ['oncall'],
    }
  }
}
