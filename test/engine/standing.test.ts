import { describe, expect, test } from 'vitest'
import { emptyProfile } from '../../src/detect/profile.ts'
import { learnHour, type ClosedHour } from '../../src/detect/learn-hour.ts'
import { passHour } from '../../src/detect/pass-hour.ts'
import { judgedWith, withoutRefusals } from '../../src/engine/standing.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import type { KeyUsage } from '../../src/usage/key-usage.ts'
import { NO_USAGE, type Rollup } from '../../src/usage/rollup.ts'

const NOON = Date.parse('2026-03-04T12:00:00Z')
const rollup = (minute: number, requests: number, refused: number): Rollup => ({
  ...NO_USAGE,
  keyId: 'key-1',
  bucketMs: NOON + minute * MINUTE_MS,
  model: 'gpt-4o',
  country: 'US',
  requests,
  refused,
  costNanoUsd: 1_000,
})
const usageOf = (rollups: readonly Rollup[]): KeyUsage => ({
  key: { keyId: 'key-1', teamId: undefined, environment: undefined },
  rollups,
  sources: [],
})
const profile = emptyProfile({ keyId: 'key-1', firstSeenMs: NOON - HOUR_MS, timeZone: 'UTC' })

describe('complaint 8: the refusals of a revoked key', () => {
  const since = NOON + 10 * MINUTE_MS + 20_000

  test('are not judged from the minute of the revocation on; what succeeds is', () => {
    const usage = usageOf([rollup(9, 5, 4), rollup(10, 3, 3), rollup(11, 8, 6)])
    expect(withoutRefusals(usage, since).rollups).toEqual([rollup(9, 5, 4), { ...rollup(11, 2, 0) }])
  })

  test('leave nothing to judge when there is nothing else', () => {
    const standing = { revokedSinceMs: since, taught: [] }
    const nowMs = since + 2 * MINUTE_MS
    expect(judgedWith(standing, { usage: usageOf([rollup(10, 3, 3)]), profile, nowMs })).toBeUndefined()
    expect(judgedWith(standing, { usage: usageOf([rollup(10, 3, 2)]), profile, nowMs })).toBeDefined()
    expect(
      judgedWith(undefined, { usage: usageOf([rollup(10, 3, 3)]), profile, nowMs })?.usage.rollups,
    ).toHaveLength(1)
  })

  test('of its last seconds do not hide in an address whose ten minutes had begun before', () => {
    const source = {
      ...rollup(0, 30, 20),
      address: '203.0.113.7',
      latitude: undefined,
      longitude: undefined,
      firstMs: NOON,
      lastMs: since,
    }
    const usage = { ...usageOf([]), sources: [{ ...source, bucketMs: NOON + 10 * MINUTE_MS }] }
    expect(withoutRefusals(usage, since).sources).toMatchObject([{ requests: 10, refused: 0 }])
  })
})

describe('an hour that must teach nothing', () => {
  const hour: ClosedHour = {
    hourMs: NOON,
    rollups: [{ ...rollup(0, 50, 10), country: 'RO', model: 'gpt-5' }],
    suspect: false,
  }

  test('is passed over: what was spent is kept, and no habit', () => {
    const passed = passHour(profile, hour)
    const learnt = learnHour(profile, hour, 'UTC')
    expect(learnt.countries).toMatchObject([{ value: 'RO' }])
    expect(passed).toEqual({
      ...profile,
      learnedUntilMs: NOON + HOUR_MS,
      ledger: learnt.ledger,
      use: learnt.use,
    })
    expect(passed.ledger.hours).toEqual([NOON, 40, 1_000, 0])
  })

  test('is passed once', () => {
    const passed = passHour(profile, hour)
    expect(passHour(passed, hour)).toBe(passed)
  })
})
