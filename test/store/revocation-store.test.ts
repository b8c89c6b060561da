import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { auditOfKey } from '../../src/store/postgres/audit.ts'
import type { ClaimedDelivery } from '../../src/store/delivery-store.ts'
import { createDeliveryStore } from '../../src/store/postgres/delivery-store.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import type { PolicyDecision, PolicyFacts, RevocationStore } from '../../src/store/revocation-store.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, GROUP_WAIT_MS, planAt } from './decisions.ts'

const NOW = SOME_TIME_MS
const DUE = NOW + GROUP_WAIT_MS
const LEASE_MS = 45_000
let url: string
let db: Database
let store: RevocationStore

beforeEach(async () => {
  url = await testDatabase()
  db = openDatabase(url)
  store = createRevocationStore(db)
})

afterEach(async () => {
  await db.destroy()
})

const critical = (keyId = 'key-1') => finding({ keyId, severity: 'critical' })
const commit = (found: Parameters<typeof decisions>[0], at = 0) =>
  createEngineStore(db).commit(decisions(found, { at }), planAt(NOW + at))
const decideAll =
  (kind: Exclude<PolicyDecision['kind'], 'none'>) =>
  (facts: PolicyFacts): PolicyDecision =>
    facts.standing === undefined ? { kind, reason: `because of ${facts.alert.detector}` } : { kind: 'none' }
const claim = (nowMs = NOW, limit = 10) => store.claimDue({ nowMs, limit, leaseMs: LEASE_MS })
const wish = (at = 0) => ({ keyId: 'key-1', reason: 'it leaked', actor: 'ann', nowMs: NOW + at })
const keyState = async () =>
  (await db.selectFrom('api_key').select('state').where('key_id', '=', 'key-1').executeTakeFirst())?.state
const messages = async () => {
  const rows = await db.selectFrom('delivery').select(['type', 'channel']).execute()
  return rows.map(({ type, channel }) => `${type} ${channel}`).toSorted()
}
const deliver = async (nowMs: number) => {
  const deliveries = createDeliveryStore(db)
  const claimed: ClaimedDelivery[] = []
  for (;;) {
    const some = await deliveries.claimDue({ nowMs, limit: 100, leaseMs: LEASE_MS })
    if (some.length === 0) break
    claimed.push(...some)
  }
  for (const { id } of claimed) await deliveries.settle(id, { kind: 'delivered', receipt: 'ok' }, nowMs)
  return claimed
}

describe('the policy', () => {
  test('judges an alert once, and again when it has become worse', async () => {
    await commit([finding()])
    const seen: string[] = []
    const look = (facts: PolicyFacts): PolicyDecision => {
      seen.push(facts.alert.severity)
      return { kind: 'none' }
    }
    await store.decideDue(look, NOW)
    await store.decideDue(look, NOW)
    await commit([critical()], 1_000)
    await store.decideDue(look, NOW)
    expect(seen).toEqual(['warning', 'critical'])
  })

  test('judges one alert after the other, so that a cap holds however many replicas judge', async () => {
    await commit(Array.from({ length: 12 }, (_, n) => critical(`key-${n}`)))
    const capped = (facts: PolicyFacts): PolicyDecision =>
      facts.revokedLastHour < 5 ? { kind: 'pending', reason: 'auto' } : { kind: 'refused', reason: 'cap' }
    const pools = Array.from({ length: 4 }, () => openDatabase(url, { connectionsMax: 2 }))
    const decided = await Promise.all(pools.map((pool) => createRevocationStore(pool).decideDue(capped, NOW)))
    await Promise.all(pools.map((pool) => pool.destroy()))
    expect(decided.flat().filter(({ state }) => state === 'pending')).toHaveLength(5)
    expect(decided.flat().filter(({ state }) => state === 'refused')).toHaveLength(7)
  })

  test('is told of revocations of the last hour only, and not of those that people asked for', async () => {
    await store.requestRevoke({ ...wish(), keyId: 'key-0' })
    await commit([critical()])
    await store.decideDue(decideAll('pending'), NOW)
    const counts: number[] = []
    const count = (facts: PolicyFacts): PolicyDecision => {
      counts.push(facts.revokedLastHour)
      return { kind: 'none' }
    }
    await commit([critical('key-2')], 1_000)
    await store.decideDue(count, NOW + 1_000)
    await commit([critical('key-3')], 2_000)
    await store.decideDue(count, NOW + HOUR_MS)
    expect(counts).toEqual([1, 0])
  })

  test('in a dry run leaves the key alone, and the message says what would have been done', async () => {
    await commit([critical()])
    expect(await store.decideDue(decideAll('dry_run'), NOW)).toMatchObject([
      { state: 'dry_run', keyId: 'key-1', actor: 'policy', alert: { severity: 'critical' } },
    ])
    expect(await claim()).toEqual([])
    const [message] = await deliver(DUE)
    expect(message?.notification.response).toEqual({ kind: 'would_revoke' })
    expect(await auditOfKey(db, 'key-1', 10)).toMatchObject([
      { actor: 'policy', action: 'revocation.dry_run' },
    ])
  })

  test('that refuses says why in the message', async () => {
    await commit([critical()])
    await store.decideDue(() => ({ kind: 'refused', reason: 'protected' }), NOW)
    const [message] = await deliver(DUE)
    expect(message?.notification.response).toEqual({ kind: 'refused', reason: 'protected' })
  })

  test('that proposes is told in the opening message, and not in a second one', async () => {
    await commit([critical()])
    await store.decideDue(decideAll('proposed'), NOW)
    const sent = await deliver(DUE)
    expect(sent.map(({ notification }) => notification.response.kind)).toEqual(['proposed', 'proposed'])
    expect(await messages()).toEqual(['alert.opened oncall', 'alert.opened security'])
  })

  test('that proposes after the opening message has gone is told on the same channels', async () => {
    await commit([critical()])
    // Nobody judged in time; the message went without.
    await deliver(DUE + MINUTE_MS)
    await store.decideDue(decideAll('proposed'), NOW + 2 * MINUTE_MS)
    const sent = await deliver(NOW + 2 * MINUTE_MS)
    expect(sent.map(({ type, channel }) => `${type} ${channel}`).toSorted()).toEqual([
      'key.revocation_proposed oncall',
      'key.revocation_proposed security',
    ])
  })
})

describe('a revocation', () => {
  test('is called by one replica at a time, and again when the caller died', async () => {
    await commit([critical(), critical('key-2')])
    await store.decideDue(decideAll('pending'), NOW)
    const claims = await Promise.all([claim(), claim(), claim()])
    expect(claims.flat()).toHaveLength(2)
    expect(await claim(NOW + LEASE_MS - 1)).toEqual([])
    expect(await claim(NOW + LEASE_MS)).toMatchObject([{ attempts: 1 }, { attempts: 1 }])
  })

  test('that the gateway carried out marks the key, and is told where the incident was', async () => {
    await commit([critical()])
    const [decided] = await store.decideDue(decideAll('pending'), NOW)
    await deliver(DUE)
    await claim()
    await store.settle(decided?.id ?? '', { kind: 'done', receipt: '204' }, DUE)
    await store.settle(decided?.id ?? '', { kind: 'done', receipt: '204' }, DUE)
    expect(await keyState()).toBe('revoked')
    expect(await store.forKey('key-1', 5)).toMatchObject([{ state: 'revoked' }])
    const sent = await deliver(DUE)
    expect(sent.map(({ type, channel }) => `${type} ${channel}`).toSorted()).toEqual([
      'key.revoked oncall',
      'key.revoked security',
    ])
    expect(sent[0]?.notification).toMatchObject({
      lead: { id: decided?.alert?.id },
      response: { kind: 'revoked', revocationId: decided?.id, at: new Date(DUE) },
    })
    const actions = (await auditOfKey(db, 'key-1', 10)).map(({ action }) => action)
    expect(actions).toEqual(['key.revoked', 'revocation.pending'])
  })

  test('that was quicker than the opening message is told after it', async () => {
    await commit([critical()])
    const [decided] = await store.decideDue(decideAll('pending'), NOW)
    await claim()
    await store.settle(decided?.id ?? '', { kind: 'done', receipt: '204' }, NOW)
    expect(await deliver(NOW)).toEqual([])
    const sent = await deliver(DUE)
    expect(sent.map(({ type }) => type)).toEqual(['alert.opened', 'alert.opened'])
    expect((await deliver(DUE)).map(({ type }) => type)).toEqual(['key.revoked', 'key.revoked'])
  })

  test('that did not work is tried again when the caller said, and told when it was given up', async () => {
    await commit([critical()])
    const [decided] = await store.decideDue(decideAll('pending'), NOW)
    const id = decided?.id ?? ''
    await claim()
    await store.settle(id, { kind: 'retry', at: new Date(NOW + 2_000), error: '503' }, NOW)
    expect(await claim(NOW + 1_999)).toEqual([])
    const again = await claim(NOW + 2_000)
    // What the gateway is told of the time must be the same on every try.
    expect(again).toMatchObject([{ id, attempts: 1, lastError: '503', updatedAt: decided?.updatedAt }])
    await store.settle(id, { kind: 'failed', error: '403' }, NOW + 3_000)
    expect(await keyState()).not.toBe('revoked')
    expect(await claim(NOW + HOUR_MS)).toEqual([])
    expect(await messages()).toContain('key.revocation_failed oncall')
    expect(await store.forKey('key-1', 5)).toMatchObject([{ state: 'failed', lastError: '403' }])
  })
})

describe('an operator', () => {
  test('revokes a key, whether or not it was ever used, and asking again changes nothing', async () => {
    const first = await store.requestRevoke(wish())
    expect(first).toMatchObject({ state: 'pending', actor: 'ann', reason: 'it leaked', alert: undefined })
    expect((await store.requestRevoke(wish(1_000))).id).toBe(first.id)
    expect(await claim()).toMatchObject([{ id: first.id }])
    await store.settle(first.id, { kind: 'done', receipt: '204' }, NOW)
    expect(await keyState()).toBe('revoked')
    expect((await store.requestRevoke(wish(2_000))).id).toBe(first.id)
    expect(await messages()).toEqual([])
  })

  test('ten of them at once make one revocation', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => store.requestRevoke(wish())))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
  })

  test('approves what the policy proposed', async () => {
    await commit([critical()])
    const [proposed] = await store.decideDue(decideAll('proposed'), NOW)
    expect(await store.requestRevoke(wish())).toMatchObject({
      id: proposed?.id,
      state: 'pending',
      actor: 'ann',
    })
    const actions = (await auditOfKey(db, 'key-1', 1)).map(({ action, actor, detail }) => ({
      action,
      actor,
      detail,
    }))
    expect(actions).toEqual([
      { action: 'revocation.approved', actor: 'ann', detail: { reason: 'it leaked' } },
    ])
  })

  test('revokes a key with an open alert: its channels hear of it', async () => {
    await commit([critical()])
    const { id, alert } = await store.requestRevoke(wish())
    expect(alert).toMatchObject({ severity: 'critical' })
    await claim()
    await store.settle(id, { kind: 'done', receipt: '204' }, NOW)
    expect(await messages()).toContain('key.revoked oncall')
  })

  test('gives a key back, and the policy may revoke it again later', async () => {
    await commit([critical()])
    const [revoked] = await store.decideDue(decideAll('pending'), NOW)
    await claim()
    await store.settle(revoked?.id ?? '', { kind: 'done', receipt: '204' }, NOW)
    const restoring = await store.requestRestore(wish(1_000))
    expect(restoring).toMatchObject({ id: revoked?.id, state: 'restoring', attempts: 0 })
    expect((await store.requestRestore(wish(2_000))).id).toBe(restoring.id)
    expect(await claim(NOW + 3_000)).toMatchObject([{ state: 'restoring', attempts: 0 }])
    await store.settle(restoring.id, { kind: 'done', receipt: '204' }, NOW + 3_000)
    expect(await keyState()).toBe('active')
    expect(await messages()).toContain('key.restored oncall')
    await commit([finding({ detector: 'volume_spike', severity: 'critical' })], 4_000)
    expect(await store.decideDue(decideAll('pending'), NOW + 4_000)).toMatchObject([{ state: 'pending' }])
  })

  test('restores a key that keyhound did not revoke', async () => {
    expect(await store.requestRestore(wish())).toMatchObject({ state: 'restoring', actor: 'ann' })
  })

  test('who asks for the opposite during a call gets it after the call, never instead of it', async () => {
    const { id } = await store.requestRevoke(wish())
    await claim()
    await store.requestRestore(wish(1_000))
    // The gateway is still being asked to revoke: no second call beside it.
    expect(await claim(NOW + 2_000)).toEqual([])
    await store.settle(id, { kind: 'done', receipt: '204' }, NOW + 3_000)
    expect(await keyState()).toBe('revoked')
    expect(await claim(NOW + 3_000)).toMatchObject([{ id, state: 'restoring' }])
    await store.settle(id, { kind: 'done', receipt: '204' }, NOW + 4_000)
    expect(await keyState()).toBe('active')
  })

  test('who revokes again before the restore was carried out gets a new revocation, after that call', async () => {
    const first = await store.requestRevoke(wish())
    await claim()
    await store.settle(first.id, { kind: 'done', receipt: '204' }, NOW)
    await store.requestRestore(wish(1_000))
    await claim(NOW + 1_000)
    const second = await store.requestRevoke(wish(2_000))
    expect(second.id).not.toBe(first.id)
    expect(await claim(NOW + 2_000)).toEqual([])
    await store.settle(first.id, { kind: 'done', receipt: '204' }, NOW + 3_000)
    expect(await keyState()).toBe('active')
    expect(await claim(NOW + 1_000 + LEASE_MS)).toMatchObject([{ id: second.id, state: 'pending' }])
  })

  test('learns of a restore that failed; the key stays revoked', async () => {
    const { id } = await store.requestRevoke(wish())
    await claim()
    await store.settle(id, { kind: 'done', receipt: '204' }, NOW)
    await store.requestRestore(wish(1_000))
    await claim(NOW + 1_000)
    await store.settle(id, { kind: 'failed', error: '500' }, NOW + 2_000)
    expect(await store.forKey('key-1', 5)).toMatchObject([{ state: 'revoked', lastError: '500' }])
    expect(await keyState()).toBe('revoked')
  })
})
