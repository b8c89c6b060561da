import { describe, expect, test } from 'vitest'
import { decide, revokePolicySettings, type RevokeSettings } from '../../src/respond/policy.ts'
import type { PolicyDecision, PolicyFacts } from '../../src/store/revocation-store.ts'
import { alertOf } from '../alert/alerts.ts'

/** Name, settings, facts, decision. */
type Case = readonly [string, Record<string, unknown>, Partial<PolicyFacts>, PolicyDecision]

const NOW_MS = Date.parse('2026-03-02T03:00:00Z')

function factsOf(given: Partial<PolicyFacts> = {}): PolicyFacts {
  return {
    alert: alertOf({ severity: 'critical' }),
    key: { keyId: 'key-1', teamId: undefined, environment: undefined },
    nowMs: NOW_MS,
    revokedLastHour: 0,
    standing: undefined,
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
    ...(['proposed', 'pending', 'revoked', 'restoring'] as const).map((standing): Case => [
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
      protect: [],
      max_per_hour: 5,
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
    { protected: ['x'] },
  ])('refuses %j', (settings) => {
    expect(revokePolicySettings.safeParse(settings).success).toBe(false)
  })
})
