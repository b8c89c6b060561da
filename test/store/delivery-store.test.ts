import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import type { ClaimedDelivery, DeliveryStore } from '../../src/store/delivery-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createDeliveryStore } from '../../src/store/postgres/delivery-store.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createUsageWriter } from '../../src/store/postgres/usage-writer.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { enrichedEvent, SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { decisions, finding, GROUP_WAIT_MS, planAt } from './decisions.ts'

const NOW = SOME_TIME_MS
const DUE = NOW + GROUP_WAIT_MS
const LEASE_MS = 60_000
let url: string
let db: Database
let store: DeliveryStore

beforeEach(async () => {
  url = await testDatabase()
  db = openDatabase(url)
  store = createDeliveryStore(db)
})

afterEach(async () => {
  await db.destroy()
})

const commit = (
  found: Parameters<typeof decisions>[0],
  options: { at?: number; resolved?: readonly string[] } = {},
) => createEngineStore(db).commit(decisions(found, options), planAt(NOW + (options.at ?? 0)))
const judged = () => createRevocationStore(db).decideDue(() => ({ kind: 'none' }), NOW)
const claim = (nowMs = DUE, limit = 100, except: readonly string[] = []) =>
  store.claimDue({ nowMs, limit, leaseMs: LEASE_MS, except })
const names = (claimed: readonly ClaimedDelivery[]) =>
  claimed.map(({ type, channel }) => `${type} ${channel}`)

/** Ten keys with an alert each, judged: ten messages that are due at DUE. */
async function tenMessages(): Promise<void> {
  await commit(Array.from({ length: 10 }, (_, n) => finding({ keyId: `key-${n}` })))
  await judged()
}

describe('claims', () => {
  test('of many senders at once never overlap, and leave nothing out', async () => {
    await tenMessages()
    const pools = Array.from({ length: 4 }, () => openDatabase(url, { connectionsMax: 2 }))
    const claims = await Promise.all(
      pools.map((pool) => createDeliveryStore(pool).claimDue({ nowMs: DUE, limit: 4, leaseMs: LEASE_MS })),
    )
    const ids = [...claims.flat(), ...(await claim())].map(({ id }) => id)
    await Promise.all(pools.map((pool) => pool.destroy()))
    expect(ids).toHaveLength(10)
    expect(new Set(ids).size).toBe(10)
  })

  test('wait until a message is due, and leave out the channels that are busy', async () => {
    await tenMessages()
    expect(await claim(DUE - 1)).toEqual([])
    expect(await claim(DUE, 100, ['oncall'])).toEqual([])
    expect(await store.nextDueMs()).toBe(DUE)
    expect(await store.nextDueMs(['oncall'])).toBeUndefined()
    expect(await claim()).toHaveLength(10)
  })

  test('that are not settled end with their lease: the same message again, with one more try', async () => {
    await tenMessages()
    const [first] = await claim(DUE, 1)
    expect(first?.attempts).toBe(0)
    expect(await claim(DUE + LEASE_MS - 1)).toHaveLength(9)
    expect(await store.nextDueMs()).toBe(DUE + LEASE_MS)
    const again = await claim(DUE + LEASE_MS)
    expect(again.find(({ id }) => id === first?.id)?.attempts).toBe(1)
  })
})

test('a claim that is renewed lasts, and ends soon after its sender does', async () => {
  await tenMessages()
  const [first] = await claim(DUE, 1)
  await store.renew([first?.id ?? ''], DUE + 2 * LEASE_MS)
  expect((await claim(DUE + 2 * LEASE_MS - 1)).map(({ id }) => id)).not.toContain(first?.id)
  expect((await claim(DUE + 2 * LEASE_MS)).map(({ id }) => id)).toEqual([first?.id])
  await store.settle(first?.id ?? '', { kind: 'delivered', receipt: 'ok' }, DUE)
  await store.renew([first?.id ?? ''], DUE)
  expect((await claim(DUE + 2 * LEASE_MS)).map(({ id }) => id)).not.toContain(first?.id)
})

describe('a message', () => {
  test('that was delivered, or has failed for good, is not sent again', async () => {
    await tenMessages()
    const [a, b] = await claim()
    await store.settle(a?.id ?? '', { kind: 'delivered', receipt: 'ok' }, DUE)
    await store.settle(b?.id ?? '', { kind: 'failed', error: 'no such channel' }, DUE)
    // What a slower sender says of a message that arrived does not count.
    await store.settle(a?.id ?? '', { kind: 'retry', at: new Date(DUE), error: 'late' }, DUE)
    const later = await claim(DUE + 10 * LEASE_MS)
    expect(later).toHaveLength(8)
    const states = await db.selectFrom('delivery').select('state').where('state', '<>', 'pending').execute()
    expect(states.map(({ state }) => state).toSorted()).toEqual(['delivered', 'failed'])
  })

  test('that is to be retried is due when the sender said', async () => {
    await commit([finding()])
    await judged()
    const [only] = await claim()
    await store.settle(only?.id ?? '', { kind: 'retry', at: new Date(DUE + MINUTE_MS), error: '503' }, DUE)
    expect(await claim(DUE + MINUTE_MS - 1)).toEqual([])
    expect(await claim(DUE + MINUTE_MS)).toMatchObject([{ id: only?.id, attempts: 1 }])
  })

  test('waits for the policy to judge its alerts, but not for ever', async () => {
    await commit([finding()])
    expect(await claim()).toEqual([])
    await judged()
    expect(await claim()).toHaveLength(1)
    await commit([finding({ keyId: 'key-2' })])
    expect(await claim(DUE + 14_999)).toEqual([])
    expect(await claim(DUE + 15_000)).toHaveLength(1)
  })

  test('that says resolved does not overtake the one that says opened', async () => {
    const { opened } = await commit([finding()])
    await judged()
    const [opening] = await claim()
    await store.settle(
      opening?.id ?? '',
      { kind: 'retry', at: new Date(NOW + 10 * MINUTE_MS), error: '503' },
      DUE,
    )
    await commit([], { at: MINUTE_MS, resolved: opened.map(({ id }) => id) })
    expect(await claim(NOW + 2 * MINUTE_MS)).toEqual([])
    const late = await claim(NOW + 10 * MINUTE_MS)
    expect(names(late)).toEqual(['alert.opened oncall'])
    await store.settle(late[0]?.id ?? '', { kind: 'delivered', receipt: 'ok' }, NOW + 10 * MINUTE_MS)
    expect(names(await claim(NOW + 10 * MINUTE_MS))).toEqual(['alert.resolved oncall'])
  })
})

describe('a notification', () => {
  test('is led by the worst alert, and tells the others, the key and the traffic', async () => {
    const writer = createUsageWriter(db, new ManualClock(NOW))
    const event = (overrides: Parameters<typeof enrichedEvent>[0]) =>
      enrichedEvent({ teamId: 'red', ...overrides })
    await writer.write({
      events: [
        ...Array.from({ length: 3 }, () => event({ timestampMs: NOW - MINUTE_MS, costNanoUsd: 1_000_000 })),
        event({
          timestampMs: NOW - 2 * MINUTE_MS,
          ip: '9.9.9.9',
          model: 'o3',
          costNanoUsd: undefined,
          place: { country: 'RO', latitude: 0, longitude: 0 },
        }),
        event({ timestampMs: NOW - 11 * MINUTE_MS }),
        event({ keyId: 'other', timestampMs: NOW }),
      ],
      rejected: [],
    })
    await commit([finding(), finding({ detector: 'volume_spike', severity: 'critical' })])
    await judged()
    const [claimed] = await claim(NOW + 10 * MINUTE_MS)
    expect(claimed?.notification).toMatchObject({
      id: claimed?.id,
      type: 'alert.opened',
      at: new Date(NOW),
      lead: { detector: 'volume_spike', severity: 'critical' },
      others: [{ detector: 'unusual_geo' }],
      key: { keyId: 'key-1', teamId: 'red', environment: undefined },
      response: { kind: 'none' },
      traffic: {
        since: new Date(NOW - 10 * MINUTE_MS),
        requests: 4,
        costNanoUsd: 3_000_000,
        costNanoUsdPerHour: 9_000_000,
        topAddress: { value: '8.8.8.8', share: 0.75 },
        topCountry: { value: 'US', share: 0.75 },
        topModel: { value: 'gpt-4o-mini', share: 0.75 },
      },
    })
  })

  test('of traffic that nobody can price or place says so', async () => {
    const writer = createUsageWriter(db, new ManualClock(NOW))
    await writer.write({
      events: [enrichedEvent({ timestampMs: NOW, costNanoUsd: undefined, place: undefined, ip: undefined })],
      rejected: [],
    })
    await commit([finding()])
    await judged()
    const [claimed] = await claim()
    expect(claimed?.notification.traffic).toMatchObject({
      requests: 1,
      costNanoUsd: undefined,
      costNanoUsdPerHour: undefined,
      topAddress: undefined,
      topCountry: undefined,
    })
  })

  test('is read anew for each try: a retry tells the newest state', async () => {
    await commit([finding()])
    await judged()
    const [first] = await claim()
    await store.settle(first?.id ?? '', { kind: 'retry', at: new Date(NOW + MINUTE_MS), error: '503' }, DUE)
    await commit([finding({ detector: 'unusual_hour' })], { at: 30_000 })
    await judged()
    const [second] = await claim(NOW + MINUTE_MS)
    expect(first?.notification.others).toEqual([])
    expect(second?.notification.others).toMatchObject([{ detector: 'unusual_hour' }])
  })
})
