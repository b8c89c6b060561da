import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Alert } from '../../src/alert/alert.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createSilenceStore } from '../../src/store/postgres/silence-store.ts'
import { DAY_MS, HOUR_MS } from '../../src/usage/duration.ts'
import { testDatabase } from '../harness/database.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { decisions, finding, planAt } from '../store/decisions.ts'
import { startApi } from './api.ts'

let database: Database
let alert: Alert
let keys = 0

beforeAll(async () => {
  database = openDatabase(await testDatabase())
})
afterAll(async () => database.destroy())
beforeEach(async () => {
  keys += 1
  const base = finding({ keyId: `key-${keys}` })
  const found = { ...base, evidence: { ...base.evidence, observed: { RO: 3 } } }
  const { opened } = await createEngineStore(database).commit(decisions([found]), planAt(SOME_TIME_MS))
  if (opened[0] === undefined) throw new Error('an alert was expected')
  alert = opened[0]
})

const api = async () =>
  startApi({ operators: createOperatorStore(database), silences: createSilenceStore(database) })
const inMs = (ms: number) => new Date(SOME_TIME_MS + ms).toISOString()
const wish = (given: object = {}) => ({
  matchers: { key_id: alert.keyId },
  starts_at: inMs(0),
  ends_at: inMs(HOUR_MS),
  created_by: 'ann',
  comment: 'batch run',
  ...given,
})

describe('complaint 13: silences over HTTP', () => {
  test('are made, listed and ended without any tool, and work at once', async () => {
    const { post, call } = await api()
    const made = await post('/api/v1/silences', wish())
    expect(made.status).toBe(201)
    expect(made.json).toMatchObject({
      state: 'active',
      matchers: { key_id: [alert.keyId] },
      starts_at: inMs(0),
      ends_at: inMs(HOUR_MS),
      created_by: 'ann',
      comment: 'batch run',
      alerts_silenced_now: 1,
      matches_something: true,
    })
    const id = String(made.json['id'])
    expect((await call(`/api/v1/alerts/${alert.id}`)).json).toMatchObject({
      status: 'silenced',
      silenced_by: `silence:${id}`,
    })
    const listed = await call('/api/v1/silences')
    expect(listed.json['silences']).toContainEqual(made.json)
    const ended = await call(`/api/v1/silences/${id}`, { method: 'DELETE' })
    expect(ended.status).toBe(200)
    expect(ended.json).toMatchObject({ id, state: 'expired', expired_at: inMs(0) })
    expect(ended.json['expired_by']).toMatch(/^api:/)
    expect((await call(`/api/v1/silences/${id}`, { method: 'DELETE' })).json).toEqual(ended.json)
  })

  test('of one alert need only its id', async () => {
    const { post } = await api()
    const made = await post('/api/v1/silences', {
      alert_id: alert.id,
      created_by: 'ann',
      comment: 'until it is over',
    })
    expect([made.status, made.json['alert_id'], made.json['ends_at']]).toEqual([
      201,
      alert.id,
      inMs(30 * DAY_MS),
    ])
    const other = await post('/api/v1/silences', {
      alert_id: '00000000-0000-4000-8000-000000000000',
      created_by: 'ann',
      comment: 'x',
    })
    expect([other.status, other.json.detail]).toEqual([
      409,
      'Body: alert_id: there is no alert with this id.',
    ])
  })

  test.each([
    [{ comment: '' }, 'Body: comment: must not be empty.'],
    [{ ends_at: inMs(31 * DAY_MS) }, 'Body: ends_at: a silence lasts 30d at most (notify.silence_max).'],
    [
      { matchers: {} },
      'Body: matchers: name at least one of key_id, team_id, environment, detector, severity, or give an alert_id.',
    ],
  ])('are refused with the reason: %j', async (given, detail) => {
    const { status, json } = await (await api()).post('/api/v1/silences', wish(given))
    expect([status, json.detail]).toEqual([400, detail])
  })

  test('that do not exist are not found, and nobody without a token sees any', async () => {
    const { call } = await api()
    expect((await call('/api/v1/silences/x', { method: 'DELETE' })).status).toBe(404)
    expect((await call('/api/v1/silences', { token: '' })).status).toBe(401)
    const { status, headers } = await call('/api/v1/silences', { method: 'PUT' })
    expect([status, headers.get('allow')]).toEqual([405, 'GET, POST, HEAD'])
  })
})

describe('POST /alerts/{id}/feedback', () => {
  test('takes the two verdicts of the first interface', async () => {
    const { post } = await api()
    const expected = await post(`/api/v1/alerts/${alert.id}/feedback`, {
      verdict: 'expected',
      comment: 'a load test',
    })
    expect(expected.status).toBe(200)
    expect(expected.json).toMatchObject({
      id: alert.id,
      status: 'resolved',
      verdict: 'expected',
      taught: [],
      taught_until: null,
      profile_frozen: false,
      offers: [],
    })
    const abuse = await post(`/api/v1/alerts/${alert.id}/feedback`, { verdict: 'abuse' })
    expect(abuse.json).toMatchObject({
      verdict: 'compromised',
      profile_frozen: true,
      offers: [{ action: 'revoke', method: 'POST', path: `/api/v1/keys/${alert.keyId}/revoke` }],
    })
  })

  test('takes "safe", for as long as it says', async () => {
    const { post } = await api()
    const body = { verdict: 'safe', comment: null, safe_for: '7d' }
    const { json } = await post(`/api/v1/alerts/${alert.id}/feedback`, body)
    expect(json).toMatchObject({
      taught: [{ kind: 'country', value: 'RO', level: null }],
      taught_until: inMs(7 * DAY_MS),
    })
  })

  test('is shown in the history of the alert', async () => {
    const { post, call } = await api()
    await post(`/api/v1/alerts/${alert.id}/feedback`, { verdict: 'compromised', comment: 'leaked' })
    const { json } = await call(`/api/v1/alerts/${alert.id}`)
    expect(json['history']).toMatchObject([
      { change: 'opened' },
      { change: 'verdict', note: 'compromised: leaked' },
      { change: 'acknowledged', note: 'verdict: compromised' },
    ])
  })

  test.each([[{}], [{ verdict: 'fine' }], [{ verdict: 'safe', safe_for: '7' }], [undefined]])(
    'refuses %j',
    async (body) => {
      const { status } = await (await api()).post(`/api/v1/alerts/${alert.id}/feedback`, body ?? '')
      expect(status).toBe(400)
    },
  )

  test('on no alert is not found', async () => {
    const { post } = await api()
    for (const id of ['x', '00000000-0000-4000-8000-000000000000'])
      expect((await post(`/api/v1/alerts/${id}/feedback`, { verdict: 'safe' })).status).toBe(404)
  })
})

describe('POST /alerts/{id}/acknowledge', () => {
  test('complaint 10: takes an end and a note, and shows both', async () => {
    const { post, call } = await api()
    const body = { note: 'on it', until: inMs(HOUR_MS), whole_incident: true }
    const { json } = await post(`/api/v1/alerts/${alert.id}/acknowledge`, body)
    expect(json).toMatchObject({ status: 'acknowledged', acknowledged_until: inMs(HOUR_MS) })
    expect((await call(`/api/v1/alerts/${alert.id}`)).json['history']).toMatchObject([
      { change: 'opened' },
      { change: 'acknowledged', note: `until ${inMs(HOUR_MS)}: on it` },
    ])
  })

  test.each([[{ until: inMs(0) }], [{ until: 'tomorrow' }], [{ whole_incident: 'yes' }]])(
    'refuses %j',
    async (body) => {
      const { status } = await (await api()).post(`/api/v1/alerts/${alert.id}/acknowledge`, body)
      expect(status).toBe(400)
    },
  )
})
