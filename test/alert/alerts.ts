import type { Alert } from '../../src/alert/alert.ts'

/** An open alert that differs from an ordinary one only in what is given. */
export function alertOf(given: Partial<Alert> = {}): Alert {
  const openedAt = given.openedAt ?? new Date('2026-03-02T03:00:00Z')
  return {
    id: '0197f000-0000-7000-8000-000000000001',
    incidentId: '0197f000-0000-7000-8000-0000000000aa',
    detector: 'volume_spike',
    keyId: 'key-1',
    scope: '',
    severity: 'warning',
    status: 'firing',
    openedAt,
    lastSeenAt: openedAt,
    resolvedAt: undefined,
    occurrences: 1,
    summary: 'key-1 made 352 requests in 5 minutes; 4 to 18 are usual on Monday at 03:00',
    evidence: {
      metric: 'requests',
      observed: 352,
      expected: { low: 4, high: 18 },
      window: { start: '2026-03-02T02:55:00.000Z', end: '2026-03-02T03:00:00.000Z' },
      history: { days: 28, events: 12_000 },
      setting: 'detectors.volume_spike.sensitivity: medium',
    },
    ...given,
  }
}
