import { describe, expect, test } from 'vitest'
import { decide } from '../../src/respond/policy.ts'
import { revokePolicySettings, type RevokeSettings } from '../../src/respond/policy-settings.ts'
import type { FleetFacts, Halt, PolicyDecision, PolicyFacts } from '../../src/store/revocation-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { alertOf } from '../alert/alerts.ts'

/** Name, settings, facts, decision. */
type Case = readonly [string, Record<string, unknown>, Partial<PolicyFacts>, PolicyDecision]

const NOW_MS = Date.parse('2026-03-02T03:00:00Z')

const QUIET: FleetFacts = {
  activeKeys: 1_000,
  firingKeys: { info: 1, warning: 1, critical: 1 },
  newestUsageAt: new Date(NOW_MS - 30_000),
  halts: [],
}

function factsOf(given: Partial<PolicyFacts> = {}): PolicyFacts {
  const alert = given.alert ?? alertOf({ severity: 'critical' })
  return {
    alert,
    openAlerts: [alert],
    key: { keyId: 'key-1', teamId: undefined, environment: undefined },
    firstSeenAt: new Date(NOW_MS - 30 * DAY_MS),
    learntMs: 29 * DAY_MS,
    nowMs: NOW_MS,
    fleet: QUIET,
    revokedLastHour: 0,
    wouldRevokeLastHour: 0,
    standing: undefined,
    wouldStand: false,
    strikes: undefined,
    ...given,
  }
}

const settingsOf = (given: Record<string, unknown> = {}): RevokeSettings => revokePolicySettings.parse(given)

describe('the policy of revocation', () => {
  const warning = alertOf({ severity: 'warning' })
  const key = (keyId: string) => ({ key: { keyId, teamId: undefined, environment: undefined } })
  const refused = (reason: string): PolicyDecision => ({ kind: 'refused', reason })
  const none: PolicyDecision = { kind: 'none' }
  const cause = 'critical alert of volume_spike'

  const auto: PolicyDecision = { kind: 'pending', reason: `${cause}; revoke.mode is auto` }
  const proposed: PolicyDecision = {
    kind: 'proposed',
    reason: `${cause}; revoke.mode is approve, so a person decides`,
  }

  const cases: Case[] = [
    ['does nothing when it is off', { mode: 'off' }, {}, none],
    [
      'only tells when nothing is configured',
      {},
      {},
      { kind: 'dry_run', reason: `${cause}; revoke.mode is dry_run, so nothing is done` },
    ],
    ['asks a person', { mode: 'approve' }, {}, proposed],
    ['revokes by itself when allowed', { mode: 'auto' }, {}, auto],
    ['leaves milder alerts alone', { mode: 'auto' }, { alert: warning }, none],
    [
      'takes worse alerts too',
      { mode: 'auto', when: { severity: 'info' } },
      { alert: warning },
      { kind: 'pending', reason: 'warning alert of volume_spike; revoke.mode is auto' },
    ],
    ['leaves other detectors alone', { mode: 'auto', when: { detectors: ['unusual_geo'] } }, {}, none],
    [
      'takes the detectors that are named',
      { mode: 'auto', when: { detectors: ['unusual_geo', 'volume_spike'] } },
      {},
      auto,
    ],
    ...['dry_run', 'approve', 'auto'].map((mode): Case => [
      `refuses a protected key in mode ${mode}`,
      { mode, protect: ['other', 'prod-core-*'] },
      key('prod-core-7'),
      refused(`the key is protected by revoke.protect: "prod-core-*" (${cause})`),
    ]),
    [
      'says nothing about a protected key that is not concerned',
      { protect: ['*'] },
      { alert: warning },
      none,
    ],
    [
      'does not take a part of a key id for a protected one',
      { mode: 'auto', protect: ['prod'] },
      key('prod-core-7'),
      auto,
    ],
    ['goes up to the cap of an hour', { mode: 'auto', max_per_hour: 2 }, { revokedLastHour: 1 }, auto],
    [
      'stops at the cap of an hour',
      { mode: 'auto', max_per_hour: 2 },
      { revokedLastHour: 2 },
      refused(`revoke.max_per_hour: 2 is reached, 2 in the last hour (${cause})`),
    ],
    [
      'shows the cap in a dry run',
      { max_per_hour: 0 },
      {},
      refused(`revoke.max_per_hour: 0 is reached, 0 in the last hour (${cause})`),
    ],
    ['asks a person beyond the cap', { mode: 'approve', max_per_hour: 0 }, {}, proposed],
    ...(['proposed', 'pending', 'revoked', 'confirmed', 'restoring'] as const).map((standing): Case => [
      `does nothing more to a key that is ${standing}`,
      { mode: 'auto' },
      { standing },
      none,
    ]),
    [
      'does not ask about the cap for a key that is revoked',
      { mode: 'auto', max_per_hour: 0 },
      { standing: 'revoked' },
      none,
    ],
  ]
  test.each(cases)('%s', (_name, settings, facts, decision) => {
    expect(decide(factsOf(facts), settingsOf(settings))).toEqual(decision)
  })

  test('has the defaults of the documentation', () => {
    expect(settingsOf()).toEqual({
      mode: 'dry_run',
      when: { severity: 'critical' },
      min_key_age: DAY_MS,
      min_history: 3 * DAY_MS,
      protect: [],
      max_per_hour: 5,
      max_share: 0.05,
      halt_when: { ingest_lag: 5 * MINUTE_MS, keys_firing: 10 },
      grace: 2 * MINUTE_MS,
      confirm_after: 10 * MINUTE_MS,
    })
  })

  test.each([
    { mode: 'on' },
    { when: { severity: 'bad' } },
    { when: { detectors: [] } },
    { when: { detectors: ['no_such'] } },
    { max_per_hour: -1 },
    { max_per_hour: 1.5 },
    { protect: [''] },
    { min_key_age: '2y' },
    { max_share: 0 },
    { max_share: 1.1 },
    { when: { min_signals: 0 } },
    { halt_when: { keys_firing: 1 } },
    { halt_when: { ingest_lag: '10s' } },
    { grace: '1s' },
    { restore_after: '10s' },
    { protected: ['x'] },
  ])('refuses %j', (settings) => {
    expect(revokePolicySettings.safeParse(settings).success).toBe(false)
  })
})

const volume = (severity: 'warning' | 'critical' = 'critical') => alertOf({ severity })
const geo = (severity: 'warning' | 'critical' = 'critical') =>
  alertOf({ detector: 'unusual_geo', severity, summary: 'key-1 was used from RO' })
const travel = () => alertOf({ detector: 'impossible_travel', severity: 'critical' })
const limit = () => alertOf({ detector: 'spend_threshold', severity: 'critical' })
const AUTO = settingsOf({ mode: 'auto' })
const kindIn = (facts: Partial<PolicyFacts>, settings: Record<string, unknown> = {}) =>
  decide(factsOf(facts), settingsOf({ mode: 'auto', ...settings })).kind
const reasonOf = (facts: Partial<PolicyFacts>, settings: Record<string, unknown> = {}): string => {
  const decision = decide(factsOf(facts), settingsOf({ mode: 'auto', ...settings }))
  return decision.kind === 'none' ? 'none' : decision.reason
}

describe('complaint 7: a legitimate key is not killed because it is new or odd', () => {
  test('a key younger than min_key_age, or of unknown age, is not revoked without asking', () => {
    const young = { firstSeenAt: new Date(NOW_MS - HOUR_MS) }
    expect(reasonOf(young)).toMatch(/^revoke.min_key_age: 1d is not reached, the key is 1h old/)
    expect(reasonOf({ firstSeenAt: undefined })).toContain('its age is not known')
    expect(kindIn(young, { min_key_age: '0s' })).toBe('pending')
    expect(kindIn({ firstSeenAt: new Date(NOW_MS - DAY_MS) })).toBe('pending')
  })

  test('habits must have been learnt for min_history, except where a limit of the operator speaks', () => {
    const green = { learntMs: 2 * DAY_MS }
    expect(reasonOf(green)).toMatch(/^revoke.min_history: 3d is not reached, 2d are learnt/)
    expect(reasonOf({ learntMs: undefined })).toContain('nothing is learnt')
    expect(kindIn({ ...green, alert: limit() })).toBe('pending')
    expect(kindIn(green, { min_history: '2d' })).toBe('pending')
  })

  test('a person who is asked in mode approve decides about young keys too', () => {
    expect(kindIn({ firstSeenAt: undefined, learntMs: undefined }, { mode: 'approve' })).toBe('proposed')
  })

  test('what a person called expected or safe is no signal', () => {
    const judged = { ...geo(), verdict: 'safe' as const }
    const settings = { when: { min_signals: 2 } }
    expect(kindIn({ alert: volume(), openAlerts: [volume(), judged] }, settings)).toBe('none')
    expect(kindIn({ alert: volume(), openAlerts: [volume(), geo()] }, settings)).toBe('pending')
  })

  test('a key that was restored and is abused again says so', () => {
    const strikes = { count: 1, lastRestoredAt: new Date('2026-03-01T10:00:00Z'), lastRestoredBy: 'dana' }
    expect(reasonOf({ strikes })).toContain(
      'strike 2: revoked before and restored by dana at 2026-03-01T10:00:00.000Z',
    )
  })
})

describe('what speaks against a key', () => {
  test.each([
    ['a country', [geo()]],
    ['a journey', [travel()]],
    ['a country and a journey', [geo(), travel()]],
  ])('place alone never revokes without asking: %s', (_name, openAlerts) => {
    expect(reasonOf({ alert: openAlerts[0] ?? geo(), openAlerts })).toMatch(
      /^only the place speaks against the key, and place alone never revokes without asking/,
    )
  })

  test('a place is enough for a person to be asked', () => {
    expect(kindIn({ alert: geo(), openAlerts: [geo()] }, { mode: 'approve' })).toBe('proposed')
  })

  test('a milder second signal brings down a key of which only the place had spoken', () => {
    const spike = volume('warning')
    expect(reasonOf({ alert: spike, openAlerts: [geo(), spike] })).toBe(
      'warning alert of volume_spike, 2 signals agree: place, volume; revoke.mode is auto',
    )
  })

  test('what an alert was corroborated by counts as a signal', () => {
    const alert = geo()
    const agreed = { ...alert, evidence: { ...alert.evidence, corroborated_by: ['volume_spike'] } }
    expect(kindIn({ alert: agreed, openAlerts: [agreed] })).toBe('pending')
  })

  test.each([
    ['neither', { alert: geo(), openAlerts: [geo()] }, 'none'],
    ['the named detector', { alert: limit(), openAlerts: [limit()] }, 'pending'],
    ['two signals', { alert: geo(), openAlerts: [geo(), volume('warning')] }, 'pending'],
    ['twice the same kind', { alert: geo(), openAlerts: [geo(), travel()] }, 'none'],
  ])('of named detectors and a number of signals one is enough: %s', (_name, facts, kind) => {
    expect(kindIn(facts, { when: { detectors: ['spend_threshold'], min_signals: 2 } })).toBe(kind)
  })

  test('oddities and remarks are no signals', () => {
    const odd = alertOf({ detector: 'unusual_hour', severity: 'info' })
    const old = alertOf({ detector: 'key_age', severity: 'critical' })
    expect(kindIn({ alert: volume(), openAlerts: [volume(), odd, old] }, { when: { min_signals: 2 } })).toBe(
      'none',
    )
  })

  test.each(['key_silent', 'key_age', 'unpriced_traffic'] as const)(
    'a key is not revoked because of %s, unless that is named',
    (detector) => {
      const alert = alertOf({ detector, severity: 'critical' })
      expect(kindIn({ alert, openAlerts: [alert] })).toBe('none')
      expect(kindIn({ alert, openAlerts: [alert] }, { when: { detectors: [detector] } })).toBe('pending')
    },
  )

  test('a slow rise is a signal of volume', () => {
    const alert = alertOf({ detector: 'slow_drift', severity: 'critical' })
    expect(reasonOf({ alert, openAlerts: [alert, geo('warning')] })).toContain(
      '2 signals agree: place, volume',
    )
  })

  test('that a revoked key is still used leads to no second revocation', () => {
    const alert = alertOf({ detector: 'revoke_not_effective', severity: 'critical' })
    expect(kindIn({ alert, openAlerts: [alert] })).toBe('none')
    expect(kindIn({ alert, openAlerts: [alert] }, { mode: 'approve' })).toBe('none')
  })
})

describe('complaint 8: an outage or a release revokes nothing', () => {
  const fleet = (given: Partial<FleetFacts>) => ({ fleet: { ...QUIET, ...given } })

  test('the policy halts while ingest lags, and says so', () => {
    const lagging = fleet({ newestUsageAt: new Date(NOW_MS - 12 * MINUTE_MS) })
    expect(decide(factsOf(lagging), AUTO)).toEqual({
      kind: 'refused',
      reason:
        'revocations are halted: ingest lags or has stopped, the newest usage stored is 12m old (revoke.halt_when.ingest_lag: 5m) (critical alert of volume_spike)',
      halt: {
        cause: 'ingest_lag',
        reason:
          'ingest lags or has stopped, the newest usage stored is 12m old (revoke.halt_when.ingest_lag: 5m)',
      },
    })
    expect(kindIn(fleet({ newestUsageAt: new Date(NOW_MS - 5 * MINUTE_MS) }))).toBe('pending')
  })

  test('the policy halts when many keys fire at once, and says so', () => {
    const storm = fleet({ firingKeys: { info: 40, warning: 20, critical: 10 } })
    expect(decide(factsOf(storm), AUTO)).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('10 keys fire at once') as string,
      halt: { cause: 'many_keys' },
    })
    expect(kindIn(fleet({ firingKeys: { info: 40, warning: 20, critical: 9 } }))).toBe('pending')
  })

  test('it stays halted as long as somebody or something holds it', () => {
    const halt: Halt = {
      id: 'h',
      cause: 'operator',
      reason: 'we are migrating',
      actor: 'dana',
      startedAt: new Date(NOW_MS),
      endedAt: undefined,
      endedBy: undefined,
    }
    expect(reasonOf(fleet({ halts: [halt] }))).toMatch(/^revocations are halted: we are migrating/)
    expect(kindIn(fleet({ halts: [halt] }), { mode: 'dry_run' })).toBe('refused')
    expect(kindIn(fleet({ halts: [halt] }), { mode: 'approve' })).toBe('proposed')
  })

  test('no more than a share of the keys in use is revoked within an hour, and one always may be', () => {
    const small = { ...fleet({ activeKeys: 50 }) }
    expect(kindIn({ ...small, revokedLastHour: 1 })).toBe('pending')
    expect(reasonOf({ ...small, revokedLastHour: 2 })).toMatch(
      /^revoke.max_share: 0.05 of 50 keys in use is reached, 2 in the last hour/,
    )
    expect(kindIn(fleet({ activeKeys: 3 }))).toBe('pending')
    expect(kindIn({ ...fleet({ activeKeys: 3 }), revokedLastHour: 1 })).toBe('refused')
  })

  test('the allow-list is checked before everything else that could revoke', () => {
    const many = { ...fleet({ halts: [] }), alert: volume(), openAlerts: [volume(), geo(), limit()] }
    expect(reasonOf({ ...many }, { protect: ['key-*'] })).toContain('protected by revoke.protect: "key-*"')
  })
})

describe('a dry run', () => {
  test('obeys the caps that auto would obey', () => {
    expect(reasonOf({ wouldRevokeLastHour: 5 }, { mode: 'dry_run' })).toMatch(/^revoke.max_per_hour: 5/)
    expect(kindIn({ wouldRevokeLastHour: 5 })).toBe('pending')
  })

  test('does not revoke a second time what it would have revoked', () => {
    expect(kindIn({ wouldStand: true }, { mode: 'dry_run' })).toBe('none')
    expect(kindIn({ wouldStand: true })).toBe('pending')
  })
})
