import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import type { RevocationStore } from '../../src/store/revocation-store.ts'
import { HOUR_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, planAt } from '../store/decisions.ts'
import { startApi, TOKEN } from './api.ts'

const ACTOR = `api:${createHash('sha256').update(TOKEN).digest('hex').slice(0, 8)}`
const NOW = SOME_TIME_MS

let database: Database
let revocations: RevocationStore

beforeAll(async () => {
  database = openDatabase(await testDatabase())
  revocations = createRevocationStore(database)
  for (const [keyId, kind] of [
    ['thief', 'dry_run'],
    ['ours', 'dry_run'],
    ['core', 'refused'],
    ['asked', 'proposed'],
  ] as const) {
    await createEngineStore(database).commit(
      decisions([finding({ keyId, severity: 'critical' })]),
      planAt(NOW),
    )
    await revocations.decideDue(() => ({ kind, reason: `because ${keyId}` }), NOW)
  }
  await database.updateTable('alert').set({ verdict: 'compromised' }).where('key_id', '=', 'thief').execute()
})
afterAll(() => database.destroy())

const api = () => startApi({ revocations, clock: new ManualClock(NOW + HOUR_MS) })

describe('GET /revocations', () => {
  test('lists them, of some states, of a key, and since some time', async () => {
    const { call } = await api()
    const keysOf = async (query: string) => {
      const { json } = await call(`/api/v1/revocations${query}`)
      const listed = json.revocations as { key_id: string }[]
      return listed.map(({ key_id: keyId }) => keyId).toSorted()
    }
    expect(await keysOf('')).toEqual(['asked', 'core', 'ours', 'thief'])
    expect(await keysOf('?state=dry_run,refused')).toEqual(['core', 'ours', 'thief'])
    expect(await keysOf('?key_id=asked')).toEqual(['asked'])
    expect(await keysOf('?since=30m')).toEqual([])
    expect(await keysOf('?limit=1')).toHaveLength(1)
  })

  test.each(['state=gone', 'limit=0', 'limit=201', 'since=yesterday'])('refuses %s', async (query) => {
    expect((await (await api()).call(`/api/v1/revocations?${query}`)).status).toBe(400)
  })
})

describe('GET /revocations/ledger', () => {
  test('says what auto would have done, and what people said of it', async () => {
    const { json } = await (await api()).call('/api/v1/revocations/ledger?since=7d')
    expect(json.summary).toEqual({
      acted: 3,
      compromised: 1,
      harmless: 0,
      unjudged: 2,
      heldBack: 1,
      heldBackCompromised: 0,
    })
    expect(json.keys).toContainEqual({
      key_id: 'thief',
      state: 'dry_run',
      first_at: new Date(NOW).toISOString(),
      decisions: 1,
      reason: 'because thief',
      alert_id: expect.any(String) as string,
      detector: 'unusual_geo',
      verdict: 'compromised',
    })
  })
})

describe('POST /revocations/{id}/approve', () => {
  test('approves the proposal once, under the name of the token', async () => {
    const { post } = await api()
    const [proposed] = await revocations.forKey('asked', 1)
    const path = `/api/v1/revocations/${proposed?.id}/approve`
    expect((await post(path, { reason: '' })).status).toBe(400)
    const approved = await post(path, { reason: 'yes' })
    expect([approved.status, approved.json]).toMatchObject([202, { state: 'pending', actor: ACTOR }])
    expect((await post(path, { reason: 'yes' })).status).toBe(409)
    expect((await post('/api/v1/revocations/x/approve', { reason: 'yes' })).status).toBe(409)
  })
})

describe('/revocations/halts', () => {
  test('halts, tells who did and why, and goes on', async () => {
    const { call, post } = await api()
    expect((await post('/api/v1/revocations/halts', {})).status).toBe(400)
    const halted = await post('/api/v1/revocations/halts', { reason: 'we are migrating' })
    expect([halted.status, halted.json]).toMatchObject([201, { cause: 'operator', actor: ACTOR }])
    expect((await call('/api/v1/revocations/halts')).json.halts).toMatchObject([
      { reason: 'we are migrating' },
    ])
    const ended = await call('/api/v1/revocations/halts', { method: 'DELETE' })
    expect(ended.json.ended).toMatchObject([{ cause: 'operator' }])
    expect((await call('/api/v1/revocations/halts')).json.halts).toEqual([])
  })
})

describe('POST /keys/{key_id}/revoke', () => {
  test('takes a time after which the key is restored by itself', async () => {
    const { post } = await api()
    const { json } = await post('/api/v1/keys/timed/revoke', { reason: 'r', restore_after: '4h' })
    expect(json).toMatchObject({ state: 'pending', restore_at: new Date(NOW + 5 * HOUR_MS).toISOString() })
    expect((await post('/api/v1/keys/timed/revoke', { reason: 'r', restore_after: '10s' })).status).toBe(400)
  })

  test('complaint 6: shows what was accepted, what is proven, and how long each took', async () => {
    const [row] = await revocations.forKey('asked', 1)
    const id = row?.id ?? ''
    await revocations.claimDue({ nowMs: NOW + HOUR_MS, limit: 10, leaseMs: 45 * SECOND_MS })
    await revocations.settle(id, { kind: 'done', receipt: 'answered 200' }, NOW + HOUR_MS)
    const { json } = await (await api()).call('/api/v1/revocations?key_id=asked')
    expect(json.revocations).toMatchObject([
      { state: 'revoked', revoked_at: new Date(NOW + HOUR_MS).toISOString(), confirmed_at: null, round: 1 },
    ])
    await revocations.confirm(id, { proof: 'silent', nowMs: NOW + 2 * HOUR_MS })
    const later = await (await api()).call('/api/v1/revocations?key_id=asked')
    expect(later.json.revocations).toMatchObject([
      {
        state: 'confirmed',
        confirmed_at: new Date(NOW + 2 * HOUR_MS).toISOString(),
        seconds_from_first_abuse: { alert: null, revoked: null, confirmed: null },
      },
    ])
  })
})
