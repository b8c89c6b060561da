import { describe, expect, test } from 'vitest'
import { judgeWatched } from '../../src/respond/judge-watched.ts'
import type { Revocation, WatchedKey } from '../../src/store/revocation-store.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'

const NOW_MS = Date.parse('2026-03-02T03:30:00Z')
const SETTINGS = { grace: 2 * MINUTE_MS, confirm_after: 10 * MINUTE_MS }

function revocationOf(given: Partial<Revocation> = {}): Revocation {
  return {
    id: '0197f000-0000-7000-8000-00000000e001',
    keyId: 'key-1',
    key: { keyId: 'key-1', teamId: undefined, environment: undefined },
    alert: undefined,
    incidentId: undefined,
    state: 'revoked',
    reason: 'because',
    actor: 'policy',
    means: 'disable',
    round: 1,
    attempts: 1,
    createdAt: new Date(NOW_MS),
    updatedAt: new Date(NOW_MS),
    containment: {
      firstAbuseAt: undefined,
      alertAt: undefined,
      revokedAt: undefined,
      confirmedAt: undefined,
    },
    stillUsedAt: undefined,
    restoreAt: undefined,
    strikes: 0,
    memo: undefined,
    lastError: undefined,
    ...given,
  }
}

/** A key that was revoked so long ago, and has not been seen since, while others have. */
function watchedOf(agoMs: number, given: Partial<WatchedKey> = {}): WatchedKey {
  return {
    revocation: revocationOf(),
    effectiveFrom: new Date(NOW_MS - agoMs),
    successes: 0,
    firstSuccessAt: undefined,
    lastSuccessAt: undefined,
    refusals: 0,
    newestUsageAt: new Date(NOW_MS),
    ...given,
  }
}

describe('complaint 6: a revocation is proven, or it is not one', () => {
  test('by silence past the grace period while other keys are used', () => {
    expect(judgeWatched(watchedOf(12 * MINUTE_MS - 1), SETTINGS, NOW_MS)).toEqual({ kind: 'wait' })
    expect(judgeWatched(watchedOf(12 * MINUTE_MS), SETTINGS, NOW_MS)).toEqual({
      kind: 'confirmed',
      proof: 'silent for 10m while other keys were used',
    })
  })

  test.each([
    ['nothing at all has arrived', undefined],
    ['nothing has arrived since before its time was over', new Date(NOW_MS - 1)],
  ])('not by silence when %s: unknown is not nothing', (_name, newestUsageAt) => {
    expect(judgeWatched(watchedOf(12 * MINUTE_MS, { newestUsageAt }), SETTINGS, NOW_MS)).toEqual({
      kind: 'wait',
    })
  })

  test('by being turned away, whether or not others are used', () => {
    const watched = watchedOf(12 * MINUTE_MS, { refusals: 3, newestUsageAt: undefined })
    expect(judgeWatched(watched, SETTINGS, NOW_MS)).toEqual({
      kind: 'confirmed',
      proof: 'turned away 3 times, and no request succeeded',
    })
    expect(judgeWatched(watchedOf(11 * MINUTE_MS, { refusals: 3 }), SETTINGS, NOW_MS).kind).toBe('wait')
  })

  test('one success among refusals disproves it, and says when', () => {
    const usedAt = new Date(NOW_MS - MINUTE_MS)
    const watched = watchedOf(5 * MINUTE_MS, {
      successes: 14,
      firstSuccessAt: new Date(NOW_MS - 2 * MINUTE_MS),
      lastSuccessAt: usedAt,
      refusals: 300,
    })
    const verdict = judgeWatched(watched, SETTINGS, NOW_MS)
    expect(verdict).toMatchObject({ kind: 'not_effective', at: new Date(NOW_MS), usedAt })
    expect(verdict).toMatchObject({
      finding: {
        detector: 'revoke_not_effective',
        severity: 'critical',
        summary:
          'key-1 is STILL USED although it was revoked at 2026-03-02T03:25:00.000Z: 14 successful requests since 2026-03-02T03:28:00.000Z; revoke not effective, the gateway is called again (round 2)',
      },
    })
  })

  test('a key that was confirmed and is used again is not confirmed any more', () => {
    const revocation = revocationOf({ state: 'confirmed' })
    const watched = watchedOf(60 * MINUTE_MS, { revocation })
    expect(judgeWatched(watched, SETTINGS, NOW_MS).kind).toBe('wait')
    const used = { ...watched, successes: 1, lastSuccessAt: new Date(NOW_MS) }
    expect(judgeWatched(used, SETTINGS, NOW_MS).kind).toBe('not_effective')
  })

  test.each([
    [1, 0],
    [2, 1],
    [3, 2],
    [4, 5],
    [5, 10],
    [6, 15],
    [60, 15],
  ])('after round %d the next call waits %d minutes more', (round, minutes) => {
    const revocation = revocationOf({ round })
    const watched = watchedOf(5 * MINUTE_MS, { revocation, successes: 1, lastSuccessAt: new Date(NOW_MS) })
    expect(judgeWatched(watched, SETTINGS, NOW_MS)).toMatchObject({
      at: new Date(NOW_MS + minutes * MINUTE_MS),
    })
  })
})
