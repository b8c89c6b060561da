import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Alert } from '../../src/alert/alert.ts'
import { type Database, openDatabase } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { testDatabase } from '../harness/database.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { decisions, finding, planAt } from '../store/decisions.ts'
import { startApi, TOKEN } from './api.ts'

const ACTOR = `api:${createHash('sha256').update(TOKEN).digest('hex').slice(0, 8)}`

let database: Database
let alerts: readonly Alert[]

beforeAll(async () => {
  database = openDatabase(await testDatabase())
  const store = createEngineStore(database)
  const opened: Alert[] = []
  for (const [at, keyId] of [
    [0, 'key-1'],
    [1, 'key-2'],
    [2, 'team/a key?'],
  ] as const) {
    const found = [finding({ keyId }), finding({ keyId, detector: 'unusual_hour', severity: 'info' })]
    const outcome = await store.commit(
      decisions(found, { at: at * 1_000 }),
      planAt(SOME_TIME_MS + at * 1_000),
    )
    opened.push(...outcome.opened)
  }
  alerts = opened
})
afterAll(async () => database.destroy())

const api = async () => startApi({ operators: createOperatorStore(database) })
const idOf = (keyId: string, detector = 'unusual_geo') =>
  alerts.find((alert) => alert.keyId === keyId && alert.detector === detector)?.id ?? ''

describe('GET /alerts', () => {
  test('lists alerts, newest first, page after page', async () => {
    const { call } = await api()
    const seen: string[] = []
    let cursor = ''
    for (let pages = 0; pages < 10; pages += 1) {
      const { status, json } = await call(`/api/v1/alerts?limit=4&cursor=${cursor}`)
      expect(status).toBe(200)
      seen.push(...json.alerts.map((alert) => `${alert.opened_at} ${alert.id}`))
      if (json.next_cursor === null) break
      cursor = json.next_cursor
    }
    expect(seen).toHaveLength(6)
    expect(seen).toEqual(seen.toSorted().toReversed())
  })

  test.each([
    ['key_id=key-1', 2],
    ['key_id=team%2Fa%20key%3F', 2],
    ['detector=unusual_geo', 3],
    ['detector=unusual_geo&key_id=key-2', 1],
    ['detector=no_such', 0],
    ['status=firing', 6],
    ['status=resolved', 0],
    ['status=firing,acknowledged', 6],
    ['status=resolved&status=firing', 6],
    ['unknown=parameter', 6],
  ])('with %s lists %d', async (query, count) => {
    expect((await (await api()).call(`/api/v1/alerts?${query}`)).json.alerts).toHaveLength(count)
  })

  test.each([
    'limit=0',
    'limit=201',
    'limit=ten',
    'status=burning',
    'cursor=nonsense',
    'key_id=%00',
    'limit=1&limit=2',
  ])('answers 400 to %s', async (query) => {
    const answer = await (await api()).call(`/api/v1/alerts?${query}`)
    expect(answer.json).toMatchObject({ status: 400 })
    expect(answer.json.detail).toMatch(/^Query: (limit|status|cursor|key_id)/)
  })
})

describe('GET /alerts/{id}', () => {
  test('shows one alert as section 6 of the interfaces has it, with its deliveries and history', async () => {
    const { json } = await (await api()).call(`/api/v1/alerts/${idOf('key-1')}`)
    expect(json).toMatchObject({
      id: idOf('key-1'),
      detector: 'unusual_geo',
      key_id: 'key-1',
      severity: 'warning',
      status: 'firing',
      opened_at: new Date(SOME_TIME_MS).toISOString(),
      occurrences: 1,
      summary: finding().summary,
      evidence: finding().evidence,
    })
    expect(json.deliveries).toMatchObject([
      { channel: 'oncall', type: 'alert.opened', state: 'pending', last_error: null },
    ])
    expect(json.history).toMatchObject([{ at: new Date(SOME_TIME_MS).toISOString() }])
  })

  test.each(['0193b5c8-7a1e-7c3a-9f00-123456789abc', 'no-uuid', '%00', "'; drop table alert; --"])(
    'answers 404 to %s',
    async (id) => {
      expect((await (await api()).call(`/api/v1/alerts/${id}`)).json).toMatchObject({ status: 404 })
    },
  )
})

describe('an operator', () => {
  test('acknowledges with a note; the token that did it is in the history, and doing it again changes nothing', async () => {
    const { call, post } = await api()
    const path = `/api/v1/alerts/${idOf('key-2')}`
    for (let time = 0; time < 2; time += 1) {
      const answer = await post(`${path}/acknowledge`, { note: 'looking at it' })
      expect([answer.status, answer.json.status]).toEqual([200, 'acknowledged'])
    }
    const { history } = (await call(path)).json
    const acts = history.filter(({ actor }) => actor === ACTOR)
    expect(acts).toMatchObject([{ note: 'looking at it' }])
  })

  test('resolves without a body; a resolved alert stays resolved', async () => {
    const { call, post } = await api()
    const path = `/api/v1/alerts/${idOf('key-2', 'unusual_hour')}`
    const answer = await call(`${path}/resolve`, { method: 'POST' })
    expect([answer.status, answer.json.status]).toEqual([200, 'resolved'])
    expect((await post(`${path}/acknowledge`, {})).json.status).toBe('resolved')
    expect((await call(path, { method: 'HEAD' })).status).toBe(200)
  })

  test.each([
    ['a note that is no text', { note: 5 }],
    ['a note that is too long', { note: 'x'.repeat(1_001) }],
    ['a note that no database takes', { note: 'a\0b' }],
    ['an array', []],
  ])('is told when they send %s', async (_name, body) => {
    const answer = await (await api()).post(`/api/v1/alerts/${idOf('key-1')}/acknowledge`, body)
    expect(answer.json).toMatchObject({ status: 400 })
    expect(answer.json.detail).toMatch(/^Body: /)
  })

  test('is told when there is no such alert', async () => {
    const answer = await (await api()).post('/api/v1/alerts/0193b5c8-7a1e-7c3a-9f00-123456789abc/resolve', {})
    expect(answer.json).toMatchObject({ status: 404, detail: 'There is no alert with this id.' })
  })

  test('cannot send more than 64 KiB', async () => {
    const answer = await (
      await api()
    ).post(`/api/v1/alerts/${idOf('key-1')}/resolve`, { note: 'x'.repeat(70_000) })
    expect(answer.json).toMatchObject({ status: 413 })
  })
})
