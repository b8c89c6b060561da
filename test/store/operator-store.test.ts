import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { InvalidCursorError, type OperatorStore } from '../../src/store/operator-store.ts'
import { appendAudit, auditOfKey } from '../../src/store/postgres/audit.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { keyHashSecret } from '../../src/store/postgres/key-hash-secret.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, planAt } from './decisions.ts'

const NOW = SOME_TIME_MS
const clock = new ManualClock(NOW)
const act = { actor: 'ann', note: 'known batch run', nowMs: NOW + MINUTE_MS }
let url: string
let db: Database
let operators: OperatorStore

beforeAll(async () => {
  url = await testDatabase()
  db = openDatabase(url)
  operators = createOperatorStore(db, clock)
  const store = createEngineStore(db)
  // Twenty alerts, four of them in the same instant.
  for (let n = 0; n < 17; n += 1) {
    await store.commit(decisions([finding({ keyId: `key-${n}` })], { at: n * 1_000 }), planAt(NOW))
  }
  const together = ['a', 'b', 'c'].map((scope) =>
    finding({ keyId: 'key-16', scope, detector: 'spend_threshold', severity: 'critical' }),
  )
  await store.commit(decisions(together, { at: 16_000 }), planAt(NOW))
})

afterAll(async () => {
  await db.destroy()
})

describe('the list of alerts', () => {
  test('gives every alert once, newest first, page by page', async () => {
    const seen: { id: string; openedAt: Date }[] = []
    let cursor: string | undefined
    do {
      const page = await operators.listAlerts({ limit: 3, cursor })
      expect(page.alerts.length).toBeLessThanOrEqual(3)
      seen.push(...page.alerts)
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(seen).toHaveLength(20)
    expect(new Set(seen.map(({ id }) => id)).size).toBe(20)
    const times = seen.map(({ openedAt }) => openedAt.getTime())
    expect(times).toEqual(times.toSorted((a, b) => b - a))
  })

  test('can be narrowed by key, detector and status', async () => {
    const of = async (query: Partial<Parameters<OperatorStore['listAlerts']>[0]>) =>
      (await operators.listAlerts({ limit: 200, ...query })).alerts.length
    expect(await of({ keyId: 'key-16' })).toBe(4)
    expect(await of({ detector: 'spend_threshold' })).toBe(3)
    expect(await of({ detector: 'no_such_detector' })).toBe(0)
    expect(await of({ status: ['resolved', 'silenced'] })).toBe(0)
    expect(await of({ status: ['firing'], keyId: 'key-16', detector: 'unusual_geo' })).toBe(1)
  })

  test.each(['', 'nonsense', Buffer.from('1 2').toString('base64url'), "'; drop table alert; --"])(
    'refuses the cursor %j',
    async (cursor) => {
      await expect(operators.listAlerts({ limit: 3, cursor })).rejects.toThrow(InvalidCursorError)
    },
  )
})

describe('an alert', () => {
  const idOf = async (keyId: string) => (await operators.listAlerts({ limit: 1, keyId })).alerts[0]?.id ?? ''

  test('that does not exist is not found, whatever its id looks like', async () => {
    for (const id of ['00000000-0000-4000-8000-000000000000', 'x', '']) {
      expect(await operators.alert(id)).toBeUndefined()
      expect(await operators.acknowledge(id, act)).toBeUndefined()
      expect(await operators.resolve(id, act)).toBeUndefined()
    }
  })

  test('is acknowledged once, with name and note in its history and in the audit', async () => {
    const id = await idOf('key-1')
    expect(await operators.acknowledge(id, act)).toMatchObject({ id, status: 'acknowledged' })
    expect(await operators.acknowledge(id, { ...act, actor: 'bob' })).toMatchObject({
      status: 'acknowledged',
    })
    const detail = await operators.alert(id)
    expect(detail?.history).toMatchObject([
      { change: 'opened', actor: 'keyhound', note: undefined },
      { change: 'acknowledged', actor: 'ann', note: 'known batch run', at: new Date(act.nowMs) },
    ])
    expect(detail?.deliveries).toMatchObject([
      { channel: 'oncall', type: 'alert.opened', state: 'pending', attempts: 0 },
      { channel: 'oncall', type: 'alert.acknowledged', state: 'pending', attempts: 0 },
    ])
    expect(await auditOfKey(db, 'key-1', 9)).toMatchObject([
      { action: 'alert.acknowledged', actor: 'ann', subject: id },
    ])
  })

  test('that is resolved stays resolved', async () => {
    const id = await idOf('key-2')
    expect(await operators.resolve(id, act)).toMatchObject({
      status: 'resolved',
      resolvedAt: new Date(act.nowMs),
    })
    expect(await operators.acknowledge(id, act)).toMatchObject({ status: 'resolved' })
    expect(await operators.resolve(id, { ...act, nowMs: NOW + HOUR_MS })).toMatchObject({
      resolvedAt: new Date(act.nowMs),
    })
  })
})

describe('a key', () => {
  test('that was never seen is not found', async () => {
    expect(await operators.key('nobody')).toBeUndefined()
  })

  test('is told with its last day of usage, and exactly when it was seen', async () => {
    const at = (ms: number) => enrichedEvent({ keyId: 'used', timestampMs: NOW + ms, environment: 'prod' })
    const writer = createUsageWriter(db, clock)
    await writer.write({ events: [at(-DAY_MS - MINUTE_MS), at(-DAY_MS + MINUTE_MS)], rejected: [] })
    await writer.write({ events: [at(-10 * MINUTE_MS)], rejected: [] })
    await writer.write({ events: [at(-1)], rejected: [] })
    expect(await operators.key('used')).toMatchObject({
      key: { keyId: 'used', teamId: undefined, environment: 'prod' },
      state: 'active',
      firstSeenAt: new Date(NOW - DAY_MS - MINUTE_MS),
      lastSeenAt: new Date(NOW - 1),
      lastDay: { requests: 3, inputTokens: 3_000 },
      profile: undefined,
    })
  })
})

test('the audit can be added to, and neither changed nor deleted', async () => {
  await appendAudit(db, [{ at: new Date(NOW), actor: 'ann', action: 'test' }])
  for (const change of [`update audit set actor = 'bob'`, 'delete from audit', 'truncate audit']) {
    await expect(sql.raw(change).execute(db)).rejects.toThrow(/audit is append-only/)
  }
})

test('the secret that hashes key ids is made once, whoever asks first, and is kept', async () => {
  const pools = Array.from({ length: 4 }, () => openDatabase(url, { connectionsMax: 1 }))
  const secrets = await Promise.all(pools.map((pool) => keyHashSecret(pool)))
  await Promise.all(pools.map((pool) => pool.destroy()))
  expect(secrets[0]).toHaveLength(32)
  expect(new Set([...secrets, await keyHashSecret(db)].map((secret) => secret.toString('hex'))).size).toBe(1)
})
