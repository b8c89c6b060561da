import { describe, expect, test } from 'vitest'
import { isQuiet, triage } from '../../src/alert/triage.ts'
import type { Finding } from '../../src/detect/finding.ts'
import { alertOf } from './alerts.ts'

const finding: Finding = { ...alertOf(), detector: 'volume_spike', severity: 'warning' }

describe('triage', () => {
  test('the first finding opens an alert', () => {
    expect(triage(finding, undefined)).toEqual({ kind: 'open', finding })
  })

  test('a later finding updates the open alert and does not escalate it at the same severity', () => {
    expect(triage(finding, alertOf())).toMatchObject({ kind: 'update', escalates: false })
  })

  test('a worse finding escalates the open alert', () => {
    expect(triage({ ...finding, severity: 'critical' }, alertOf())).toMatchObject({
      kind: 'update',
      escalates: true,
      finding: { severity: 'critical' },
    })
  })

  test('a milder finding leaves the open alert as bad as it was announced', () => {
    expect(triage({ ...finding, severity: 'info' }, alertOf({ severity: 'critical' }))).toMatchObject({
      escalates: false,
      finding: { severity: 'critical' },
    })
  })
})

describe('an alert is quiet', () => {
  const lastSeenAt = new Date('2026-03-02T03:00:00Z')

  test.each([
    ['not before the time to resolve is over', 29, 'firing', false],
    ['when it has not been found for that long', 30, 'firing', true],
    ['also when somebody acknowledged it', 30, 'acknowledged', true],
    ['never again once it is resolved', 300, 'resolved', false],
  ] as const)('%s', (_, minutes, status, quiet) => {
    const nowMs = lastSeenAt.getTime() + minutes * 60_000
    expect(isQuiet(alertOf({ lastSeenAt, status }), 30 * 60_000, nowMs)).toBe(quiet)
  })
})

describe('an alert of something that is known to last', () => {
  const lastSeenAt = new Date('2026-03-02T03:00:00Z')
  const at = (evidence: object, instant: string) =>
    isQuiet(
      alertOf({ lastSeenAt, evidence: { ...alertOf().evidence, ...evidence } }),
      30 * 60_000,
      Date.parse(instant),
    )

  test('is held over the pauses of the key until then, and never resolved earlier than others', () => {
    const held = { holds_until: '2026-03-05T00:00:00.000Z' }
    expect(at(held, '2026-03-04T23:59:59Z')).toBe(false)
    expect(at(held, '2026-03-05T00:00:00Z')).toBe(true)
    expect(at({ holds_until: '2026-03-02T03:01:00.000Z' }, '2026-03-02T03:29:59Z')).toBe(false)
  })

  test('is over at its known end, even if it was found a moment before', () => {
    expect(at({ ends_at: '2026-03-02T03:00:10.000Z' }, '2026-03-02T03:00:09Z')).toBe(false)
    expect(at({ ends_at: '2026-03-02T03:00:10.000Z' }, '2026-03-02T03:00:10Z')).toBe(true)
    expect(at({ ends_at: '2026-04-01T00:00:00.000Z' }, '2026-03-20T00:00:00Z')).toBe(false)
  })

  test('with an instant that is none is like any other', () => {
    expect(at({ ends_at: 'soon' }, '2026-03-02T03:29:59Z')).toBe(false)
    expect(at({ holds_until: 'later' }, '2026-03-02T03:30:00Z')).toBe(true)
  })
})
