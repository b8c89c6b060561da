import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { lastTurnMs, takeTurn } from '../../src/store/postgres/duty.ts'
import { clearSelfAlerts, createSelfAlertStore } from '../../src/store/postgres/self-alert-store.ts'
import type { NoticeOutbox, SelfAlertStore } from '../../src/store/self-alert-store.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../src/usage/duration.ts'
import { advance } from '../../src/watch/advance.ts'
import type { Judgement } from '../../src/watch/judgement.ts'
import { memorySelfAlerts } from '../../src/watch/memory-self-alerts.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { bad } from './signals.ts'

const LEASE_MS = 30 * SECOND_MS
const good = (topic: string): Judgement => ({ topic, state: 'good' })

type Store = SelfAlertStore & NoticeOutbox

/** What a look at `nowMs` changes. */
function look(
  store: Store,
  judgements: readonly Judgement[],
  nowMs: number,
  targets: (string | undefined)[] = ['oncall'],
) {
  return store.move(
    (open) =>
      advance(open, judgements, { nowMs, repeatMs: 360 * MINUTE_MS, newId: () => crypto.randomUUID() }),
    { targets, now: new Date(nowMs) },
  )
}

async function claimAll(store: Store, nowMs: number) {
  const all = []
  for (;;) {
    const claimed = await store.claim(nowMs, LEASE_MS)
    if (claimed === undefined) return all
    all.push(claimed)
  }
}

describe.each(['memory', 'postgres'] as const)('the self-alerts in %s', (kind) => {
  let db: Database | undefined
  async function freshStore(): Promise<Store> {
    if (kind === 'memory') return memorySelfAlerts()
    await db?.destroy()
    db = openDatabase(await testDatabase())
    return createSelfAlertStore(db)
  }
  afterAll(async () => {
    await db?.destroy()
  })

  test('live from the first bad look to the last good one, and each turn is told once per channel', async () => {
    const store = await freshStore()
    await look(store, [bad('ticks_late')], SOME_TIME_MS, ['oncall', 'siem'])
    await look(store, [bad('ticks_late')], SOME_TIME_MS + 10 * SECOND_MS, ['oncall', 'siem'])
    expect(await store.open()).toMatchObject([
      { topic: 'ticks_late', severity: 'critical', lastBadAt: new Date(SOME_TIME_MS + 10 * SECOND_MS) },
    ])
    const told = await claimAll(store, SOME_TIME_MS + 20 * SECOND_MS)
    expect(told.map(({ channel, notice }) => [channel, notice.type])).toEqual([
      ['oncall', 'keyhound.problem'],
      ['siem', 'keyhound.problem'],
    ])
    for (const { id } of told) await store.settle(id, { kind: 'delivered', receipt: 'ok' }, SOME_TIME_MS)

    const overMs = SOME_TIME_MS + 10 * SECOND_MS + 90 * SECOND_MS
    await look(store, [good('ticks_late')], overMs - 1, ['oncall', 'siem'])
    expect(await store.open()).toHaveLength(1)
    await look(store, [good('ticks_late')], overMs, ['oncall', 'siem'])
    expect(await store.open()).toEqual([])
    const over = await claimAll(store, overMs)
    expect(over.map(({ notice }) => notice.type)).toEqual(['keyhound.recovered', 'keyhound.recovered'])
  })

  test('tell of an end only after the beginning has been taken', async () => {
    const store = await freshStore()
    await look(store, [bad('ticks_late')], SOME_TIME_MS)
    await look(store, [good('ticks_late')], SOME_TIME_MS + 90 * SECOND_MS)
    const nowMs = SOME_TIME_MS + 100 * SECOND_MS
    const [first, ...others] = await claimAll(store, nowMs)
    expect([first?.notice.type, others]).toEqual(['keyhound.problem', []])
    const at = new Date(nowMs + 60 * SECOND_MS)
    await store.settle(first?.id ?? '', { kind: 'retry', at, error: 'answered 500' }, nowMs)
    expect(await store.claim(nowMs, LEASE_MS)).toBeUndefined()
    const again = await store.claim(at.getTime(), LEASE_MS)
    expect(again).toMatchObject({ id: first?.id, attempts: 1, notice: { type: 'keyhound.problem' } })
    await store.settle(again?.id ?? '', { kind: 'delivered', receipt: 'ok' }, at.getTime())
    expect((await store.claim(at.getTime(), LEASE_MS))?.notice.type).toBe('keyhound.recovered')
  })

  test('a claim that nobody settles is due again when its lease ends, under the same id', async () => {
    const store = await freshStore()
    await look(store, [bad('ticks_late')], SOME_TIME_MS, [undefined])
    const first = await store.claim(SOME_TIME_MS, LEASE_MS)
    expect(first).toMatchObject({ channel: undefined, notice: { id: first?.id, at: new Date(SOME_TIME_MS) } })
    expect(await store.claim(SOME_TIME_MS + LEASE_MS - 1, LEASE_MS)).toBeUndefined()
    expect((await store.claim(SOME_TIME_MS + LEASE_MS, LEASE_MS))?.id).toBe(first?.id)
  })
})

describe('the self-alerts of all replicas', () => {
  let db: Database
  beforeAll(async () => {
    db = openDatabase(await testDatabase())
  })
  afterAll(async () => {
    await db.destroy()
  })

  test('complaint 2: eight replicas that find the same at once tell it once', async () => {
    const stores = Array.from({ length: 8 }, () => createSelfAlertStore(db))
    const looks = await Promise.all(
      stores.map((store) => look(store, [bad('queue_unreachable')], SOME_TIME_MS)),
    )
    expect(looks.flatMap(({ opened }) => opened)).toHaveLength(1)
    const claims = await Promise.all(stores.map((store) => store.claim(SOME_TIME_MS, LEASE_MS)))
    expect(claims.filter((claimed) => claimed !== undefined)).toHaveLength(1)
  })

  test('a turn is taken by one of eight replicas, and not taken back by a slow one', async () => {
    const taken = await Promise.all(Array.from({ length: 8 }, () => takeTurn(db, 'digest', SOME_TIME_MS)))
    expect(taken.filter(Boolean)).toHaveLength(1)
    expect(await takeTurn(db, 'digest', SOME_TIME_MS - 1)).toBe(false)
    expect(await takeTurn(db, 'digest', SOME_TIME_MS + 1)).toBe(true)
    expect(await lastTurnMs(db, 'digest')).toBe(SOME_TIME_MS + 1)
    expect(await lastTurnMs(db, 'heartbeat')).toBeUndefined()
  })

  test('what ended long ago is cleared away, what is open or waits stays', async () => {
    const own = openDatabase(await testDatabase())
    const store = createSelfAlertStore(own)
    await look(store, [bad('ticks_late'), bad('dead_letters')], SOME_TIME_MS)
    await look(store, [good('ticks_late'), bad('dead_letters')], SOME_TIME_MS + 90 * SECOND_MS)
    const [told] = await claimAll(store, SOME_TIME_MS + 90 * SECOND_MS)
    await store.settle(told?.id ?? '', { kind: 'delivered', receipt: 'ok' }, SOME_TIME_MS + 90 * SECOND_MS)
    await clearSelfAlerts(own, new Date(SOME_TIME_MS + DAY_MS))
    expect((await store.open()).map(({ topic }) => topic)).toEqual(['dead_letters'])
    expect(await own.selectFrom('self_alert').selectAll().execute()).toHaveLength(1)
    expect(await own.selectFrom('self_notice').selectAll().execute()).toHaveLength(2)
    await own.destroy()
  })
})
