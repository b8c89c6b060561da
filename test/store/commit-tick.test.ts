import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { claimTick } from '../../src/store/postgres/tick-claim.ts'
import { DAY_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, GROUP_WAIT_MS, planAt, REPEAT_MS } from './decisions.ts'

const NOW = SOME_TIME_MS
let url: string
let db: Database

beforeEach(async () => {
  url = await testDatabase()
  db = openDatabase(url)
})

afterEach(async () => {
  await db.destroy()
})

const commit = (
  found: Parameters<typeof decisions>[0],
  options: { at?: number; resolved?: readonly string[] } = {},
) => createEngineStore(db).commit(decisions(found, options), planAt(NOW + (options.at ?? 0)))

const deliveries = () =>
  db
    .selectFrom('delivery')
    .select(['number', 'type', 'channel', 'due_at'])
    .orderBy('number')
    .orderBy('channel')
    .execute()

test('eight ticks at once open one alert, one incident and one message per channel', async () => {
  const replicas = Array.from({ length: 8 }, () => openDatabase(url, { connectionsMax: 1 }))
  const outcomes = await Promise.all(
    replicas.map(async (replica) =>
      createEngineStore(replica).commit(decisions([finding({ severity: 'critical' })]), planAt(NOW)),
    ),
  )
  await Promise.all(replicas.map((replica) => replica.destroy()))
  expect(outcomes.flatMap(({ opened }) => opened)).toHaveLength(1)
  expect(await db.selectFrom('alert').select('occurrences').execute()).toEqual([{ occurrences: 1 }])
  expect(await db.selectFrom('incident').select('announcements').execute()).toEqual([{ announcements: 1 }])
  expect(await db.selectFrom('alert_history').select('change').execute()).toEqual([{ change: 'opened' }])
  const due_at = new Date(NOW + GROUP_WAIT_MS)
  expect(await deliveries()).toEqual([
    { number: 1, type: 'alert.opened', channel: 'oncall', due_at },
    { number: 1, type: 'alert.opened', channel: 'security', due_at },
  ])
})

test('the database itself refuses a second open alert, and a second open incident of a group', async () => {
  await commit([finding()])
  const copy = (table: string, columns: string) =>
    sql
      .raw(`insert into ${table} (id, ${columns}) select gen_random_uuid(), ${columns} from ${table}`)
      .execute(db)
  const alertColumns =
    'incident_id, detector, key_id, scope, severity, status, opened_at, last_seen_at, occurrences, summary, evidence'
  await expect(copy('alert', alertColumns)).rejects.toThrow(/alert_open/)
  await expect(copy('incident', 'group_key, opened_at')).rejects.toThrow(/incident_open/)
})

test('a tick that is committed twice, as after a crash, changes nothing the second time', async () => {
  await commit([finding()])
  const before = await db.selectFrom('alert').selectAll().execute()
  expect(await commit([finding()])).toEqual({ opened: [], escalated: [], resolved: [] })
  expect(await db.selectFrom('alert').selectAll().execute()).toEqual(before)
  expect(await deliveries()).toHaveLength(1)
})

test('an alert of another detector shares the message that still waits for its group', async () => {
  await commit([finding()])
  await commit([finding(), finding({ detector: 'unusual_hour' })], { at: 2_000 })
  expect(await deliveries()).toHaveLength(1)
})

test('what becomes critical while the message waits brings more channels to the same message', async () => {
  await commit([finding()])
  await commit([finding({ severity: 'critical' })], { at: 2_000 })
  expect(await deliveries()).toMatchObject([
    { number: 1, channel: 'oncall' },
    { number: 1, channel: 'security', due_at: new Date(NOW + GROUP_WAIT_MS) },
  ])
})

test('what becomes critical later is announced again, and what stays firing is repeated', async () => {
  await commit([finding()])
  await commit([finding({ severity: 'critical' })], { at: MINUTE_MS })
  await commit([finding({ severity: 'critical' })], { at: MINUTE_MS + REPEAT_MS })
  expect((await deliveries()).map(({ number, type, channel }) => `${number} ${type} ${channel}`)).toEqual([
    '1 alert.opened oncall',
    '2 alert.opened oncall',
    '2 alert.opened security',
    '3 alert.repeated oncall',
    '3 alert.repeated security',
  ])
})

test('an acknowledged alert that gets worse fires again', async () => {
  const { opened } = await commit([finding()])
  const act = { actor: 'ann', note: undefined, nowMs: NOW }
  await createOperatorStore(db, new ManualClock(NOW)).acknowledge(opened[0]?.id ?? '', act)
  await commit([finding()], { at: 1_000 })
  expect(await db.selectFrom('alert').select('status').execute()).toEqual([{ status: 'acknowledged' }])
  await commit([finding({ severity: 'critical' })], { at: 2_000 })
  expect(await db.selectFrom('alert').select('status').execute()).toEqual([{ status: 'firing' }])
})

test('an incident is resolved once, when the last of its alerts is', async () => {
  const { opened } = await commit([finding(), finding({ detector: 'unusual_hour' })])
  const [first = '', second = ''] = opened.map((alert) => alert.id)
  await commit([], { at: MINUTE_MS, resolved: [first] })
  expect(await deliveries()).toHaveLength(1)
  await commit([], { at: 2 * MINUTE_MS, resolved: [second] })
  await commit([], { at: 2 * MINUTE_MS, resolved: [first, second] })
  expect((await deliveries()).map(({ type }) => type)).toEqual(['alert.opened', 'alert.resolved'])
  expect(await db.selectFrom('incident').select('closed_at').execute()).toEqual([
    { closed_at: new Date(NOW + 2 * MINUTE_MS) },
  ])
})

test('an alert that is found again in the same tick is not resolved', async () => {
  const { opened } = await commit([finding()])
  const resolved = opened.map((alert) => alert.id)
  expect((await commit([finding()], { at: MINUTE_MS, resolved })).resolved).toEqual([])
})

test('when an operator resolved the last alert, the next tick tells it, findings or not', async () => {
  const { opened } = await commit([finding()])
  const operators = createOperatorStore(db, new ManualClock(NOW))
  await operators.resolve(opened[0]?.id ?? '', { actor: 'ann', note: 'a test', nowMs: NOW + MINUTE_MS })
  await commit([], { at: 2 * MINUTE_MS })
  expect((await deliveries()).map(({ type }) => type)).toEqual(['alert.opened', 'alert.resolved'])
  await commit([], { at: 3 * MINUTE_MS })
  expect(await deliveries()).toHaveLength(2)
})

test('routes are asked with the team and environment of the keys', async () => {
  await db
    .insertInto('api_key')
    .values({ key_id: 'key-1', team_id: 'red', environment: 'prod', first_seen_at: new Date(NOW) })
    .execute()
  const seen: unknown[] = []
  await createEngineStore(db).commit(
    decisions([finding(), finding({ keyId: 'new' })]),
    (_incident, _alerts, keys) => {
      seen.push(...keys.values())
      return undefined
    },
  )
  expect(seen).toContainEqual({ keyId: 'key-1', teamId: 'red', environment: 'prod' })
  expect(seen).toContainEqual({ keyId: 'new', teamId: undefined, environment: undefined })
})

test('a tick of a shard is run by one replica: of many claims, one wins, and later ticks bar earlier ones', async () => {
  const shard = { index: 1, count: 4 }
  const claims = await Promise.all(Array.from({ length: 8 }, () => claimTick(db, shard, NOW)))
  expect(claims.filter(Boolean)).toHaveLength(1)
  expect(await claimTick(db, shard, NOW - 10_000)).toBe(false)
  expect(await claimTick(db, shard, NOW + 10_000)).toBe(true)
  expect(await claimTick(db, { index: 2, count: 4 }, NOW)).toBe(true)
  expect(await claimTick(db, { index: 1, count: 8 }, NOW)).toBe(true)
})

test('a clock that once ran a day ahead does not stop the ticks of that day', async () => {
  const shard = { index: 0, count: 1 }
  expect(await claimTick(db, shard, NOW + DAY_MS)).toBe(true)
  expect(await claimTick(db, shard, NOW)).toBe(true)
  expect(await claimTick(db, shard, NOW)).toBe(false)
})
