import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Evidence } from '../../src/detect/finding.ts'
import { ledgerSummary } from '../../src/store/ledger-summary.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import type { PolicyDecision, PolicyFacts, RevocationStore } from '../../src/store/revocation-store.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, planAt } from './decisions.ts'

const NOW = SOME_TIME_MS
let db: Database
let store: RevocationStore

beforeEach(async () => {
  db = openDatabase(await testDatabase())
  store = createRevocationStore(db)
})
afterEach(() => db.destroy())

const raise = (keyId: string, at = 0, severity: 'warning' | 'critical' = 'critical') =>
  createEngineStore(db).commit(decisions([finding({ keyId, severity })], { at }), planAt(NOW + at))
const decideAll = (kind: 'dry_run' | 'refused' | 'proposed' | 'pending', at = 0) =>
  store.decideDue(
    ({ alert }: PolicyFacts): PolicyDecision => ({ kind, reason: `because of ${alert.detector}` }),
    NOW + at,
  )
const judge = (keyId: string, verdict: 'compromised' | 'expected' | 'safe') =>
  db.updateTable('alert').set({ verdict }).where('key_id', '=', keyId).execute()
const wish = (at = 0) => ({ keyId: 'key-1', reason: 'it leaked', actor: 'ann', nowMs: NOW + at })

describe('the dry-run ledger', () => {
  test('has one line a key, with what people said of it', async () => {
    for (const keyId of ['thief', 'ours', 'unseen']) await raise(keyId)
    await decideAll('dry_run')
    await raise('core', MINUTE_MS)
    await decideAll('refused', MINUTE_MS)
    await judge('thief', 'compromised')
    await judge('ours', 'safe')
    await judge('core', 'compromised')
    const entries = await store.ledger({ sinceMs: NOW - 7 * DAY_MS })
    const lines = entries.map(({ keyId, state, verdict }) => [keyId, state, verdict])
    expect(lines[0]).toEqual(['core', 'refused', 'compromised'])
    expect(lines.slice(1).toSorted(([a = ''], [b = '']) => a.localeCompare(b))).toEqual([
      ['ours', 'dry_run', 'safe'],
      ['thief', 'dry_run', 'compromised'],
      ['unseen', 'dry_run', undefined],
    ])
    expect(entries[0]).toMatchObject({ reason: 'because of unusual_geo', decisions: 1 })
    expect(ledgerSummary(entries)).toEqual({
      acted: 3,
      compromised: 1,
      harmless: 1,
      unjudged: 1,
      heldBack: 1,
      heldBackCompromised: 1,
    })
  })

  test('counts a key once, however often it would have been revoked, and leaves out what is older', async () => {
    await raise('old', -8 * DAY_MS)
    await decideAll('dry_run', -8 * DAY_MS)
    await raise('key-1', 0, 'warning')
    await decideAll('refused')
    await raise('key-1', MINUTE_MS)
    await decideAll('dry_run', MINUTE_MS)
    expect(await store.ledger({ sinceMs: NOW - 7 * DAY_MS })).toMatchObject([
      { keyId: 'key-1', state: 'dry_run', decisions: 2, firstAt: new Date(NOW) },
    ])
  })

  test('knows what was done by itself, whoever restored it since', async () => {
    await raise('key-1')
    const [decided] = await decideAll('pending')
    await store.claimDue({ nowMs: NOW, limit: 1, leaseMs: 1_000 })
    await store.settle(decided?.id ?? '', { kind: 'done', receipt: '200' }, NOW)
    await store.requestRestore(wish(MINUTE_MS))
    expect(await store.ledger({ sinceMs: NOW })).toMatchObject([{ keyId: 'key-1', state: 'revoked' }])
  })

  test('leaves out what people did without being asked', async () => {
    await store.requestRevoke(wish())
    expect(await store.ledger({ sinceMs: NOW })).toEqual([])
  })
})

describe('a proposal', () => {
  test('is approved by its id, once, by whoever is first', async () => {
    await raise('key-1')
    const [proposed] = await decideAll('proposed')
    const act = { reason: 'yes', actor: 'link:oncall', nowMs: NOW }
    const approvals = await Promise.all([1, 2, 3].map(() => store.approve(proposed?.id ?? '', act)))
    expect(approvals.filter((approved) => approved !== undefined)).toMatchObject([
      { id: proposed?.id, state: 'pending', actor: 'link:oncall' },
    ])
  })

  test('that was overtaken is not approved, and no other one in its place', async () => {
    await raise('key-1')
    const [proposed] = await decideAll('proposed')
    await store.requestRestore(wish())
    const act = { reason: 'yes', actor: 'link:oncall', nowMs: NOW }
    expect(await store.approve(proposed?.id ?? '', act)).toBeUndefined()
    expect(await store.approve('no-such-id', act)).toBeUndefined()
  })
})

describe('the memory of a key', () => {
  test('complaint 7: counts how often it was revoked and given back, and by whom', async () => {
    const facts: PolicyFacts[] = []
    await store.requestRestore(wish())
    await settleAll(NOW)
    for (const at of [HOUR_MS, 2 * HOUR_MS]) {
      await store.requestRevoke(wish(at))
      await settleAll(NOW + at)
      await store.requestRestore({ ...wish(at + MINUTE_MS), actor: 'dana' })
      await settleAll(NOW + at + MINUTE_MS)
    }
    await raise('key-1', 3 * HOUR_MS)
    await store.decideDue(
      (given) => {
        facts.push(given)
        return { kind: 'none' }
      },
      NOW + 3 * HOUR_MS,
    )
    // The first restore gave back what keyhound had not taken: no strike.
    expect(facts[0]?.strikes).toEqual({
      count: 2,
      lastRestoredAt: new Date(NOW + 2 * HOUR_MS + MINUTE_MS),
      lastRestoredBy: 'dana',
    })
    expect(await store.requestRevoke(wish(4 * HOUR_MS))).toMatchObject({ strikes: 2 })
  })

  test('what the revoker must know to undo it is the first it was told', async () => {
    const { id } = await store.requestRevoke(wish())
    expect(await store.remember(id, 'before')).toBe('before')
    expect(await store.remember(id, 'what the revocation made of it')).toBe('before')
    expect(await store.claimDue({ nowMs: NOW, limit: 1, leaseMs: 1_000 })).toMatchObject([{ memo: 'before' }])
  })

  test('a restore thaws the profile that a verdict had frozen', async () => {
    await store.requestRevoke(wish())
    await settleAll(NOW)
    await db
      .updateTable('api_key')
      .set({ frozen_at: new Date(NOW) })
      .execute()
    await store.requestRestore(wish(MINUTE_MS))
    await settleAll(NOW + MINUTE_MS)
    const row = await db
      .selectFrom('api_key')
      .select(['state', 'state_since', 'frozen_at'])
      .executeTakeFirst()
    expect(row).toEqual({ state: 'active', state_since: new Date(NOW + MINUTE_MS), frozen_at: null })
  })
})

describe('what the policy is told of a key and of all keys', () => {
  test('its age, what was learnt, its open alerts, and how fresh the stream is', async () => {
    const events = ['key-1', 'key-2'].map((keyId) =>
      enrichedEvent({ keyId, timestampMs: NOW - 3 * MINUTE_MS }),
    )
    await createUsageWriter(db, { nowMs: () => NOW }).write({ events, rejected: [] })
    await raise('key-1', 0, 'warning')
    await raise('key-2')
    const seen: PolicyFacts[] = []
    await store.decideDue((facts) => {
      seen.push(facts)
      return { kind: 'none' }
    }, NOW)
    expect(seen.map(({ key }) => key.keyId)).toEqual(['key-2', 'key-1'])
    expect(seen[1]).toMatchObject({
      firstSeenAt: new Date(NOW - 3 * MINUTE_MS),
      learntMs: undefined,
      openAlerts: [{ keyId: 'key-1' }],
      fleet: {
        activeKeys: 2,
        firingKeys: { info: 2, warning: 2, critical: 1 },
        newestUsageAt: new Date(NOW - 2 * MINUTE_MS),
        halts: [],
      },
    })
  })

  test.each<[string, Evidence['observed']]>([
    ['one name', 'RO'],
    ['several', ['RO', 'BG']],
    ['names and counts', { RO: 3 }],
  ])(
    'the first request of the abuse is that of the new country, not of the window: %s',
    async (_name, observed) => {
      const at = (minutes: number, country: string) =>
        enrichedEvent({
          timestampMs: NOW - minutes * MINUTE_MS,
          place: { country, latitude: 44, longitude: 26 },
        })
      const found = finding({ severity: 'critical' })
      const window = { start: new Date(NOW - HOUR_MS).toISOString(), end: new Date(NOW).toISOString() }
      const events = [at(50, 'US'), at(9, 'RO'), at(4, 'RO')]
      await createUsageWriter(db, { nowMs: () => NOW }).write({ events, rejected: [] })
      await createEngineStore(db).commit(
        decisions([{ ...found, evidence: { ...found.evidence, observed, window } }]),
        planAt(NOW),
      )
      expect(await decideAll('dry_run')).toMatchObject([
        { containment: { firstAbuseAt: new Date(NOW - 9 * MINUTE_MS), alertAt: new Date(NOW) } },
      ])
    },
  )

  test("the other side's id is the newest that the usage tells", async () => {
    const events = [
      enrichedEvent({ timestampMs: NOW - 20 * DAY_MS, metadata: { token_id: '41', only_then: 'x' } }),
      enrichedEvent({ timestampMs: NOW - HOUR_MS, metadata: { token_id: '42' } }),
      enrichedEvent({ timestampMs: NOW - MINUTE_MS, metadata: { other: '43' } }),
      enrichedEvent({ keyId: 'key-2', timestampMs: NOW - MINUTE_MS, metadata: { token_id: '44' } }),
    ]
    await createUsageWriter(db, { nowMs: () => NOW }).write({ events, rejected: [] })
    expect(await store.metadataOf('key-1', 'token_id', NOW)).toBe('42')
    expect(await store.metadataOf('key-1', 'only_then', NOW)).toBe('x')
    expect(await store.metadataOf('key-1', 'never', NOW)).toBeUndefined()
  })
})

async function settleAll(nowMs: number): Promise<void> {
  for (const { id } of await store.claimDue({ nowMs, limit: 10, leaseMs: 1_000 })) {
    await store.settle(id, { kind: 'done', receipt: '200' }, nowMs)
  }
}
