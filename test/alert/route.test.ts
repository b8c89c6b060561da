import { describe, expect, test } from 'vitest'
import { matchesPattern } from '../../src/alert/pattern.ts'
import { channelsFor, fallbacksFor, type Routable } from '../../src/alert/route.ts'

const critical: Routable = {
  severity: 'critical',
  detector: 'unusual_geo',
  key: { keyId: 'prod-core-1', teamId: 'payments', environment: 'production' },
}

describe('routes', () => {
  test('the first route that matches gets the alert, and no later one', () => {
    const routes = [
      { match: { severity: ['critical' as const] }, channels: ['oncall', 'security'] },
      { channels: ['everything'] },
    ]
    expect(channelsFor(routes, critical)).toEqual(['oncall', 'security'])
    expect(channelsFor(routes, { ...critical, severity: 'info' })).toEqual(['everything'])
  })

  test('a route with continue passes the alert on, and a channel named twice gets it once', () => {
    const routes = [
      { match: { detector: ['unusual_geo' as const] }, channels: ['siem', 'oncall'], continue: true },
      { match: { key_id: ['prod-*'] }, channels: ['oncall', 'mail'] },
    ]
    expect(channelsFor(routes, critical)).toEqual(['siem', 'oncall', 'mail'])
  })

  test('every field of a match must hold, and a list holds when one of its items does', () => {
    const route = { match: { severity: ['critical' as const], team_id: ['search', 'pay*'] }, channels: ['a'] }
    expect(channelsFor([route], critical)).toEqual(['a'])
    expect(channelsFor([route], { ...critical, severity: 'warning' })).toEqual([])
    expect(channelsFor([route], { ...critical, key: { ...critical.key, teamId: 'other' } })).toEqual([])
  })

  test('a detector may be named by a pattern', () => {
    const route = { match: { detector: ['unusual_*', 'key_age'] }, channels: ['a'] }
    expect(channelsFor([route], critical)).toEqual(['a'])
    expect(channelsFor([route], { ...critical, detector: 'volume_spike' })).toEqual([])
  })

  test('the fallbacks of an alert are those of the routes that it takes, each once', () => {
    const routes = [
      { match: { severity: ['critical'] }, channels: ['pager'], fallback: ['mail', 'sms'], continue: true },
      { channels: ['chat'], fallback: ['mail'] },
      { channels: ['never'], fallback: ['nobody'] },
    ]
    expect(fallbacksFor(routes, critical)).toEqual(['mail', 'sms'])
    expect(fallbacksFor(routes, { ...critical, severity: 'info' })).toEqual(['mail'])
    expect(fallbacksFor([{ channels: ['chat'] }], critical)).toEqual([])
  })

  test('a key without a team matches no team pattern, not even *', () => {
    const route = { match: { team_id: ['*'] }, channels: ['a'] }
    expect(channelsFor([route], { ...critical, key: { ...critical.key, teamId: undefined } })).toEqual([])
  })
})

describe('patterns', () => {
  test.each([
    ['prod-core-*', 'prod-core-1', true],
    ['prod-core-*', 'prod-core-', true],
    ['prod-core-*', 'prod-cor', false],
    ['*', '', true],
    ['*-dev', 'dana-dev', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c', false],
    ['ab*ba', 'aba', false],
    ['exact', 'exact', true],
    ['exact', 'exactly', false],
    ['a.c', 'abc', false],
    ['(x)*', '(x)y', true],
  ])('%s against %j is %s', (pattern, value, matches) => {
    expect(matchesPattern(pattern, value)).toBe(matches)
  })

  test('a hostile pattern takes no longer than a plain one', () => {
    expect(matchesPattern('*a'.repeat(200), 'a'.repeat(5_000) + 'b')).toBe(false)
  })
})
