import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock, systemClock } from '../../src/clock.ts'
import { parseConfig } from '../../src/config/load.ts'
import { settingsFor } from '../../src/config/overrides.ts'
import { learnHour } from '../../src/detect/learn-hour.ts'
import { priorFor, priorsOf } from '../../src/detect/prior.ts'
import { emptyProfile } from '../../src/detect/profile.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { bucketStart, totalsOf } from '../../src/usage/rollup.ts'
import { hashSecret } from '../../src/usage/secret-key-id.ts'
import { enrichedEvent } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { HASH_KEY, startApi, TOKEN } from './api.ts'

const ACTOR = `api:${createHash('sha256').update(TOKEN).digest('hex').slice(0, 8)}`
const SECRET = 'sk-proj-Zm9vYmFyYmF6cXV4Zm9v'

let database: Database
const nowMs = Date.now()

beforeAll(async () => {
  database = openDatabase(await testDatabase())
  const keys = ['key-1', 'team/a key?ü', hashSecret(SECRET, HASH_KEY)]
  const events = keys.map((keyId) => enrichedEvent({ keyId, timestampMs: nowMs - 60_000, teamId: 'team-1' }))
  await createUsageWriter(database, systemClock).write({ events, rejected: [] })
  const hourMs = bucketStart(nowMs, HOUR_MS) - 2 * HOUR_MS
  const rollup = {
    ...totalsOf(enrichedEvent()),
    requests: 40,
    keyId: 'key-1',
    bucketMs: hourMs,
    model: 'gpt-4o',
    country: 'US',
  }
  const profile = learnHour(
    emptyProfile({ keyId: 'key-1', firstSeenMs: hourMs, timeZone: 'UTC' }),
    { hourMs, rollups: [rollup], suspect: false },
    'UTC',
  )
  await createEngineStore(database).saveProfiles([profile])
})
afterAll(async () => database.destroy())

const api = async () =>
  startApi({ operators: createOperatorStore(database), revocations: createRevocationStore(database) })

describe('GET /keys/{key_id}', () => {
  test('shows what is usual for the key: volume, hours, countries, models, state', async () => {
    const { status, json } = await (await api()).call('/api/v1/keys/key-1')
    expect(status).toBe(200)
    expect(json).toMatchObject({
      key_id: 'key-1',
      team_id: 'team-1',
      environment: null,
      state: 'active',
      last_day: { requests: 1, refused: 0, input_tokens: 1_000, cost_usd: 0.00027, unpriced_requests: 0 },
      profile: {
        requests_learnt: 40,
        time_zone: 'UTC',
        countries: [{ country: 'US', requests: 40 }],
        models: [{ model: 'gpt-4o', requests: 40 }],
      },
      revocations: [],
    })
    expect(json.profile.usual_volume.by_hour_of_week).toHaveLength(168)
    expect(json.profile.usual_hours.by_hour_of_week).toHaveLength(168)
    expect(json.profile.usual_volume.requests_per_day).toBeGreaterThan(0)
  })

  test('says which detectors still learn the key and what is missing, and from which score on the others warn', async () => {
    const settings = parseConfig(
      'version: 1\ndetectors: { volume_spike: { min_history: 1h } }',
      'alerts.yaml',
      {},
    )
    const { json } = await (
      await startApi({
        operators: createOperatorStore(database),
        revocations: createRevocationStore(database),
        clock: new ManualClock(nowMs),
        settingsFor: settingsFor(settings),
      })
    ).call('/api/v1/keys/key-1')
    const detectors = json.detectors as Record<string, unknown>[]
    const of = (name: string) => detectors.find(({ detector }) => detector === name)
    expect(of('unusual_hour')).toMatchObject({
      state: 'learning',
      missing: [
        { what: 'days the key has been known', needed: 'at least 7d' },
        { what: 'requests learnt', observed: 40, needed: 'at least 50' },
      ],
    })
    expect(of('volume_spike')).toEqual({
      detector: 'volume_spike',
      state: 'judging',
      missing: [],
      score_for_warning: 2.9,
      false_alerts_per_100_key_days: 0.125,
      tail_scale: 2,
    })
    expect(of('key_age')).toMatchObject({ state: 'off' })
  })

  test('says of a key without a history by the habit of how many keys it is judged', async () => {
    const habits = Array.from({ length: 14 }, (_, number) => ({
      keyId: `other-${number}`,
      teamId: 'team-1',
      firstSeenMs: nowMs - 30 * DAY_MS,
      untilMs: nowMs,
      peakRequests: 10,
      peakFiveMinutes: 5,
      peakTokens: 1_000,
      peakCostNanoUsd: 1e6,
      peakTokensPerRequest: 100,
      costNanoUsdPerRequest: 1e5,
      countries: ['US'],
      models: ['gpt-4o'],
      places: [],
    }))
    const asked = await startApi({
      operators: createOperatorStore(database),
      revocations: createRevocationStore(database),
      clock: new ManualClock(nowMs),
      settingsFor: settingsFor(parseConfig('version: 1', 'alerts.yaml', {})),
      priorFor: (key) => Promise.resolve(priorFor(priorsOf(habits, nowMs), key)),
    })
    const { json } = await asked.call(`/api/v1/keys/${encodeURIComponent('team/a key?ü')}`)
    const detectors = json.detectors as Record<string, unknown>[]
    const of = (name: string) => detectors.find(({ detector }) => detector === name)
    expect(of('volume_spike')).toMatchObject({
      state: 'learning',
      judged_by: { of: 'team', team_id: 'team-1', keys: 14 },
    })
    expect(of('unusual_hour')).toMatchObject({ state: 'learning', judged_by: null })
  })

  test('has no profile while nothing was learnt', async () => {
    const { json } = await (await api()).call(`/api/v1/keys/${encodeURIComponent('team/a key?ü')}`)
    expect(json).toMatchObject({ key_id: 'team/a key?ü', profile: null })
  })

  test('asked with the secret itself finds the key under its hash, and repeats the secret nowhere', async () => {
    const answer = await (await api()).call(`/api/v1/keys/${SECRET}`)
    expect(answer.json.key_id).toBe(hashSecret(SECRET, HASH_KEY))
    expect(answer.text).not.toContain('Zm9v')
  })

  test.each([
    ['key-unheard-of', 404],
    ['%00', 400],
    ['x'.repeat(257), 400],
    ['%F0%9F%94%91'.repeat(128), 404],
  ])('for %.20s answers %d', async (key, status) => {
    expect((await (await api()).call(`/api/v1/keys/${key}`)).json).toMatchObject({ status })
  })
})

describe('an operator', () => {
  test('has a key revoked and restored, with a reason and a name in the record', async () => {
    const { call, post } = await api()
    const revoked = await post('/api/v1/keys/key-1/revoke', { reason: 'leaked on a forum' })
    expect([revoked.status, revoked.json]).toMatchObject([
      202,
      {
        key_id: 'key-1',
        state: 'pending',
        reason: 'leaked on a forum',
        actor: ACTOR,
        attempts: 0,
        last_error: null,
      },
    ])
    const again = await post('/api/v1/keys/key-1/revoke', { reason: 'leaked on a forum' })
    expect(again.json.id).toBe(revoked.json.id)
    const restored = await post('/api/v1/keys/key-1/restore', { reason: 'was a test' })
    expect([restored.status, restored.json.state]).toEqual([202, 'restoring'])
    expect((await call('/api/v1/keys/key-1')).json.revocations).not.toEqual([])
  })

  test('may have a key revoked that was never seen', async () => {
    const path = `/api/v1/keys/${encodeURIComponent('never/seen')}/revoke`
    expect((await (await api()).post(path, { reason: 'found in a repository' })).json).toMatchObject({
      key_id: 'never/seen',
    })
  })

  test.each([
    ['no body', ''],
    ['no reason', {}],
    ['a blank reason', { reason: '  ' }],
    ['a reason that is too long', { reason: 'x'.repeat(1_001) }],
    ['a reason that is no text', { reason: 5 }],
  ])('must give a reason: %s is answered 400', async (_name, body) => {
    const answer = await (await api()).post('/api/v1/keys/key-2/revoke', body)
    expect(answer.json).toMatchObject({ status: 400 })
    expect(answer.json.detail).toMatch(/^Body: /)
  })
})
