import { describe, expect, test } from 'vitest'
import { corroborate, CORROBORATION_MS } from '../../src/detect/corroborate.ts'
import type { DetectorName, Finding, Severity } from '../../src/detect/finding.ts'
import { NOON_MS } from './history.ts'

function finding(detector: DetectorName, severity: Severity, scope = ''): Finding {
  const at = new Date(NOON_MS).toISOString()
  return {
    detector,
    keyId: 'key-7',
    scope,
    severity,
    summary: 'a summary',
    evidence: {
      metric: 'requests',
      observed: 1,
      expected: 0,
      window: { start: at, end: at },
      history: { days: 30, events: 1000 },
      setting: 'a setting',
    },
  }
}

const graded = { nowMs: NOON_MS, isGraded: () => true }

describe('corroboration', () => {
  test('makes a warning critical when another kind of evidence was found on the key at the same time', () => {
    const raised = corroborate(
      [finding('volume_spike', 'warning'), finding('unusual_geo', 'info')],
      [],
      graded,
    )
    expect(raised.map(({ severity }) => severity)).toEqual(['critical', 'info'])
    expect(raised[0]?.evidence).toMatchObject({ corroborated_by: ['unusual_geo'] })
  })

  test('takes an alert of the last hour for evidence, and no older one', () => {
    const alertSeen = (agoMs: number) => ({
      detector: 'unusual_geo' as const,
      scope: '',
      severity: 'info' as const,
      evidence: finding('unusual_geo', 'info').evidence,
      lastSeenAt: new Date(NOON_MS - agoMs),
    })
    const severities = (agoMs: number) =>
      corroborate([finding('volume_spike', 'warning')], [alertSeen(agoMs)], graded).map((f) => f.severity)
    expect(severities(CORROBORATION_MS)).toEqual(['critical'])
    expect(severities(CORROBORATION_MS + 1)).toEqual(['warning'])
  })

  test('does not count evidence of the same kind twice', () => {
    const findings = [finding('impossible_travel', 'warning'), finding('unusual_geo', 'info')]
    expect(corroborate(findings, [], graded)).toEqual(findings)
  })

  test('leaves what is merely odd as it is, however much of it there is', () => {
    const findings = [finding('unusual_geo', 'info'), finding('unfamiliar_model', 'info')]
    expect(corroborate(findings, [], graded)).toEqual(findings)
  })

  test('does not take an odd hour of the own addresses for evidence', () => {
    const findings = [finding('volume_spike', 'warning'), finding('unusual_hour', 'info')]
    expect(corroborate(findings, [], graded)).toEqual(findings)
  })

  test('does not take a new country for evidence that a key that rested was woken by a thief, but a place too far', () => {
    const woken = finding('dormant_key', 'warning')
    expect(corroborate([woken, finding('unusual_geo', 'info')], [], graded)[0]?.severity).toBe('warning')
    expect(corroborate([woken, finding('impossible_travel', 'warning')], [], graded)[0]?.severity).toBe(
      'critical',
    )
  })

  test('takes work of new addresses for another kind of evidence than volume', () => {
    const raised = corroborate(
      [finding('volume_spike', 'warning'), finding('volume_spike', 'warning', 'new_addresses')],
      [],
      graded,
    )
    expect(raised.map(({ severity }) => severity)).toEqual(['critical', 'critical'])
  })

  test('takes a trip for evidence that new addresses are a thief only where the fleet is not at home: a move has both', () => {
    const added = finding('volume_spike', 'warning', 'new_addresses')
    const trip = (keysAtHome: number | null) => {
      const { evidence, ...rest } = finding('impossible_travel', 'warning')
      return { ...rest, evidence: { ...evidence, keys_at_home_there: keysAtHome } }
    }
    const severities = (findings: readonly Finding[]) =>
      corroborate(findings, [], graded).map(({ severity }) => severity)
    expect(severities([added, trip(0)])).toEqual(['critical', 'critical'])
    expect(severities([added, trip(3)])).toEqual(['warning', 'warning'])
    expect(severities([added, trip(null)])).toEqual(['warning', 'warning'])
    expect(severities([added, finding('unusual_geo', 'info')])).toEqual(['warning', 'info'])
    expect(severities([added, finding('unfamiliar_model', 'info')])).toEqual(['critical', 'info'])
  })

  test('does not take a limit of the operator for evidence of abuse', () => {
    const findings = [finding('volume_spike', 'warning'), finding('spend_threshold', 'critical')]
    expect(corroborate(findings, [], graded)).toEqual(findings)
  })

  test('keeps a severity that the operator fixed', () => {
    const findings = [finding('volume_spike', 'warning'), finding('unusual_geo', 'warning')]
    const raised = corroborate(findings, [], {
      nowMs: NOON_MS,
      isGraded: (detector) => detector === 'unusual_geo',
    })
    expect(raised.map(({ severity }) => severity)).toEqual(['warning', 'critical'])
  })
})
